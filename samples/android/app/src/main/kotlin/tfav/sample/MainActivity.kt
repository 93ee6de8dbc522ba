package tfav.sample

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.os.Bundle
import android.provider.MediaStore
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import kotlin.concurrent.thread
import org.json.JSONObject

private const val PICTURE = 1
private const val PERMISSION = 2

/** Records a voice, takes a picture, and says how near they are; nothing leaves the phone. */
class MainActivity : Activity() {
    private lateinit var encoders: Encoders
    private lateinit var answer: TextView
    private var voice: FloatArray? = null
    private var face: FloatArray? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        encoders = Encoders(this)
        answer = TextView(this).apply { textSize = 20f }
        val column = LinearLayout(this).apply { orientation = LinearLayout.VERTICAL }
        column.addView(button(R.string.record) { listen() }, MATCH_PARENT, WRAP_CONTENT)
        column.addView(button(R.string.picture) { look() }, MATCH_PARENT, WRAP_CONTENT)
        column.addView(answer, MATCH_PARENT, WRAP_CONTENT)
        setContentView(column)
    }

    override fun onDestroy() {
        encoders.close()
        super.onDestroy()
    }

    private fun button(title: Int, action: () -> Unit) =
        Button(this).apply { setText(title); setOnClickListener { action() } }

    private fun listen() {
        if (!mayRecord(this)) return requestPermissions(arrayOf(Manifest.permission.RECORD_AUDIO), PERMISSION)
        answer.setText(R.string.listening)
        thread {
            val samples = record(encoders.seconds)
            runOnUiThread {
                voice = encoders.embed(samples)
                say()
            }
        }
    }

    private fun look() = startActivityForResult(Intent(MediaStore.ACTION_IMAGE_CAPTURE), PICTURE)

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        // The small picture that the camera hands back is larger than an encoder's square.
        @Suppress("DEPRECATION")
        val bitmap = data?.extras?.get("data") as? Bitmap ?: return
        face = encoders.embed(bitmap)
        say()
    }

    private fun say() {
        val (one, other) = listOf(voice, face)
        if (one == null || other == null) return answer.setText(R.string.both)
        val near = cosine(one, other)
        val decisions = decisions()
        val word = getString(if (decisions.matched(near)) R.string.match else R.string.not_sure)
        val likely = decisions.probability(near)?.let { getString(R.string.probability, 100 * it) } ?: ""
        answer.text = getString(R.string.answer, word, near, likely)
    }

    /** Returns what the export that lies in the assets says of cosines. */
    private fun decisions(): Decisions {
        val parity = JSONObject(assets.open("parity.json").bufferedReader().use { it.readText() })
        val found = checkNotNull(parity.optJSONObject("decisions")) {
            "this export has no threshold: run tfav-eval with --protocols=calibration before tfav-export"
        }
        check(found.getString("score") == "cosine") { "this export decides by another score than the cosine" }
        val shipped = found.getJSONObject("thresholds").getJSONObject(found.getString("shipped"))
        val calibration = found.optJSONObject("calibration")
        return Decisions(
            shipped.getDouble("threshold"), calibration?.getDouble("slope"), calibration?.getDouble("intercept"),
        )
    }
}
