package tfav.sample

import java.io.File

/**
 * What of this sample needs no phone, for a test on any machine:
 *
 *     fit SIZE HEIGHT WIDTH FILE    prints the pixels of the fitted image, FILE holding RGB bytes
 *     wav FILE                      prints the samples
 *     decide THRESHOLD SLOPE INTERCEPT COSINE... prints whether each matches, and how likely it is
 */
fun main(words: Array<String>) {
    when (words[0]) {
        "fit" -> {
            val (size, height, width) = words.slice(1..3).map { it.toInt() }
            val image = RgbImage(height, width, File(words[4]).readBytes())
            println(fit(image, size).pixels.joinToString("\n") { (it.toInt() and 0xff).toString() })
        }
        "wav" -> println(readWav(File(words[1]).readBytes()).joinToString("\n"))
        "decide" -> {
            val (threshold, slope, intercept) = words.slice(1..3).map { it.toDouble() }
            val decisions = Decisions(threshold, slope, intercept)
            for (cosine in words.drop(4).map { it.toFloat() }) {
                println("${decisions.matched(cosine)} ${decisions.probability(cosine)}")
            }
        }
        else -> throw IllegalArgumentException("${words[0]}: give fit, wav or decide")
    }
}
