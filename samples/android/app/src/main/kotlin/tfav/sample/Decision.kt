package tfav.sample

/** Returns the cosine of two embeddings of one space, which have length 1. */
fun cosine(one: FloatArray, other: FloatArray): Float {
    require(one.size == other.size) { "embeddings of ${one.size} and of ${other.size} values share no space" }
    var sum = 0f
    for (k in one.indices) sum += one[k] * other[k]
    return sum
}

enum class Decision { MATCH, NOT_SURE, NO_MATCH }

/**
 * Says whether two recordings resemble each other enough, never that they are of one person.
 *
 * @param threshold the score from which a pair is taken for matched, of this very export.
 * @param doubt how near to the threshold nothing is said.
 */
fun decide(cosine: Float, threshold: Float, doubt: Float): Decision = when {
    cosine >= threshold + doubt -> Decision.MATCH
    cosine < threshold - doubt -> Decision.NO_MATCH
    else -> Decision.NOT_SURE
}
