package tfav.sample

import kotlin.math.abs
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** An image of RGB bytes, [height][width][3] in one row. */
class RgbImage(val height: Int, val width: Int, val pixels: ByteArray) {
    init {
        require(height > 0 && width > 0 && pixels.size == height * width * 3) {
            "$height x $width pixels need ${height * width * 3} bytes, and there are ${pixels.size}"
        }
    }
}

private const val GREY: Byte = 127

/** Which pixels a pixel of the result is the weighted mean of. */
private class Span(val first: Int, val weights: FloatArray)

/** A triangle as wide as the step from one pixel of the result to the next, as training has it. */
private fun spans(from: Int, to: Int): List<Span> {
    val step = 1f / (to.toFloat() / from.toFloat())
    val reach = max(step, 1f) // below 1 it would leave gaps: enlarging is plain interpolation
    return List(to) { place ->
        val middle = (place + 0.5f) * step
        val first = max(0, ceil(middle - reach - 0.5f).toInt())
        val last = min(from - 1, floor(middle + reach - 0.5f).toInt())
        val weights = FloatArray(last - first + 1) { max(0f, 1f - abs(first + it + 0.5f - middle) / reach) }
        val total = weights.sum()
        Span(first, FloatArray(weights.size) { weights[it] / total })
    }
}

/** Returns a square of [size] pixels: the image scaled to fit, with grey on both sides. */
fun fit(image: RgbImage, size: Int): RgbImage {
    val scale = size.toDouble() / max(image.height, image.width)
    // rint rounds halves to the even number, as training does.
    val height = Math.rint(image.height * scale).toInt().coerceIn(1, size)
    val width = Math.rint(image.width * scale).toInt().coerceIn(1, size)
    val line = image.width * 3
    val lines = FloatArray(height * line)
    spans(image.height, height).forEachIndexed { y, span ->
        for (x in 0 until line) {
            var sum = 0f
            span.weights.forEachIndexed { k, weight ->
                sum += weight * (image.pixels[(span.first + k) * line + x].toInt() and 0xff)
            }
            lines[y * line + x] = sum
        }
    }
    val fitted = ByteArray(size * size * 3) { GREY }
    val top = (size - height) / 2
    val left = (size - width) / 2
    spans(image.width, width).forEachIndexed { x, span ->
        for (y in 0 until height) {
            for (c in 0 until 3) {
                var sum = 0f
                span.weights.forEachIndexed { k, weight -> sum += weight * lines[y * line + (span.first + k) * 3 + c] }
                val value = Math.rint(sum.toDouble()).toInt().coerceIn(0, 255)
                fitted[((top + y) * size + left + x) * 3 + c] = value.toByte()
            }
        }
    }
    return RgbImage(size, size, fitted)
}
