package tfav.sample

import java.nio.ByteBuffer
import java.nio.ByteOrder

const val SAMPLE_RATE_HZ = 16_000

/** Returns samples in [-1, 1] of what a microphone of 16 bits gives. */
fun samplesOf(pcm: ShortArray, count: Int = pcm.size) = FloatArray(count) { pcm[it] / 32_768f }

/** Returns the samples in [-1, 1] of the bytes of a WAV file of 16 kHz, one channel, 16 bits. */
fun readWav(bytes: ByteArray): FloatArray {
    val buffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    fun word(at: Int) = String(bytes, at, 4, Charsets.ISO_8859_1)
    require(bytes.size >= 12 && word(0) == "RIFF" && word(8) == "WAVE") { "this is no WAV file" }
    var format = false
    var at = 12
    while (at + 8 <= bytes.size) {
        val size = buffer.getInt(at + 4)
        require(size >= 0) { "this WAV file has a chunk of more than 2 GB" }
        when (word(at)) {
            "fmt " -> {
                require(at + 24 <= bytes.size) { "this WAV file ends early" }
                format = buffer.getShort(at + 8).toInt() == 1 && buffer.getShort(at + 10).toInt() == 1 &&
                    buffer.getInt(at + 12) == SAMPLE_RATE_HZ && buffer.getShort(at + 22).toInt() == 16
            }
            "data" -> {
                require(format) { "this WAV file is not 16 kHz, one channel, 16 bits: convert it first" }
                return FloatArray(minOf(size, bytes.size - at - 8) / 2) { buffer.getShort(at + 8 + 2 * it) / 32_768f }
            }
        }
        at += 8 + size + size % 2
    }
    throw IllegalArgumentException("this WAV file holds no samples")
}
