package tfav.sample

import kotlin.math.exp

/** Returns the cosine of two embeddings of one space, which have length 1. */
fun cosine(one: FloatArray, other: FloatArray): Float {
    require(one.size == other.size) { "embeddings of ${one.size} and of ${other.size} values share no space" }
    var sum = 0f
    for (k in one.indices) sum += one[k] * other[k]
    return sum
}

/**
 * What an export says of cosines: `decisions` of its `parity.json`.
 *
 * It says whether two recordings resemble each other enough, never that they are of one person.
 *
 * @param threshold the cosine from which on a pair is taken for matched; below it the answer is "not sure".
 * @param slope of the calibration; null without one.
 * @param intercept likewise.
 */
class Decisions(val threshold: Double, val slope: Double?, val intercept: Double?) {
    fun matched(cosine: Float) = cosine >= threshold

    /** How likely it is that a pair is right, where right pairs are as likely as wrong ones. */
    fun probability(cosine: Float): Double? {
        if (slope == null || intercept == null) return null
        return 1 / (1 + exp(-(slope * cosine + intercept)))
    }
}
