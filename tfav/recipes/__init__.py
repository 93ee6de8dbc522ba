"""Papers, each one recipe."""

from tfav.recipes import voice_face

RECIPES = {
    "voice_face": voice_face.VoiceFace,
}
