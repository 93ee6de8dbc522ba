package tfav.sample

import android.content.Context
import android.graphics.Bitmap
import java.io.Closeable
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.FileChannel
import org.tensorflow.lite.Interpreter

/** Both encoders of an export, from the assets; not for several threads at once. */
class Encoders(context: Context) : Closeable {
    private val audio = interpreter(context, "audio_float16.tflite")
    private val image = interpreter(context, "image_float16.tflite")
    private val length = audio.getInputTensorFromSignature("waveform", AUDIO).shape()[1]
    private val side = image.getInputTensorFromSignature("image", IMAGE).shape()[1]

    /** Seconds of a clip that are heard; the rest is cut off. */
    val seconds: Float get() = length.toFloat() / SAMPLE_RATE_HZ

    /** Returns the embedding of samples of 16 kHz in [-1, 1]. */
    fun embed(samples: FloatArray): FloatArray {
        require(samples.isNotEmpty()) { "there are no samples" }
        // copyOf cuts, or pads with zeros, which num_samples says do not count.
        val inputs = mapOf(
            "waveform" to arrayOf(samples.copyOf(length)),
            "num_samples" to intArrayOf(minOf(samples.size, length)),
        )
        return run(audio, AUDIO, inputs)
    }

    /** Returns the embedding of an upright picture. */
    fun embed(bitmap: Bitmap): FloatArray {
        val colours = IntArray(bitmap.width * bitmap.height)
        bitmap.getPixels(colours, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
        val pixels = ByteArray(colours.size * 3) { (colours[it / 3] shr (16 - 8 * (it % 3))).toByte() }
        val fitted = fit(RgbImage(bitmap.height, bitmap.width, pixels), side)
        val buffer = ByteBuffer.allocateDirect(fitted.pixels.size).order(ByteOrder.nativeOrder())
        buffer.put(fitted.pixels).rewind()
        return run(image, IMAGE, mapOf("image" to buffer))
    }

    override fun close() {
        audio.close()
        image.close()
    }

    private fun run(interpreter: Interpreter, signature: String, inputs: Map<String, Any>): FloatArray {
        val size = interpreter.getOutputTensorFromSignature("embedding", signature).shape()[1]
        val embedding = arrayOf(FloatArray(size))
        interpreter.runSignature(inputs, mapOf<String, Any>("embedding" to embedding), signature)
        return embedding[0]
    }

    private fun interpreter(context: Context, name: String): Interpreter =
        context.assets.openFd(name).use { file ->
            file.createInputStream().channel.use {
                Interpreter(it.map(FileChannel.MapMode.READ_ONLY, file.startOffset, file.declaredLength))
            }
        }

    private companion object {
        const val AUDIO = "embed_audio"
        const val IMAGE = "embed_image"
    }
}
