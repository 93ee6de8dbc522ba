"""A finding of one's own: clips of which nothing says where they were recorded."""

from tfav.data.prepare.doctor import finding


def unplaced(evidence):
    """Names the rows with audio and an empty column `room`."""
    room = evidence.column("room")
    places = [k for k, there in enumerate(evidence.has("audio")) if there and not room[k]]
    return finding.one(
        "Rooms",
        len(places),
        f"of {evidence.has('audio').sum()} clips",
        ": no room is known.",
        "The room of every clip is known.",
        "Fill the column room, or the hum of a room is taken for a voice.",
        rows=evidence.named(places, ("no room" for _ in places)),
    )
