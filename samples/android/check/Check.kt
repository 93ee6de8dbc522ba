package tfav.sample

import java.io.File

/**
 * What of this sample needs no phone, for a test on any machine:
 *
 *     fit SIZE HEIGHT WIDTH FILE    prints the pixels of the fitted image, FILE holding RGB bytes
 *     wav FILE                      prints the samples
 *     decide COSINE THRESHOLD DOUBT prints the decision
 */
fun main(words: Array<String>) {
    when (words[0]) {
        "fit" -> {
            val (size, height, width) = words.slice(1..3).map { it.toInt() }
            val image = RgbImage(height, width, File(words[4]).readBytes())
            println(fit(image, size).pixels.joinToString("\n") { (it.toInt() and 0xff).toString() })
        }
        "wav" -> println(readWav(File(words[1]).readBytes()).joinToString("\n"))
        "decide" -> println(decide(words[1].toFloat(), words[2].toFloat(), words[3].toFloat()))
        else -> throw IllegalArgumentException("${words[0]}: give fit, wav or decide")
    }
}
