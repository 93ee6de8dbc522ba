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
private const val DOUBT = 0.05f

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
        val word = when (decide(near, threshold(), DOUBT)) {
            Decision.MATCH -> R.string.match
            Decision.NOT_SURE -> R.string.not_sure
            Decision.NO_MATCH -> R.string.no_match
        }
        answer.text = getString(R.string.answer, getString(word), near)
    }

    /** Returns the export's own threshold: the mean of both directions' equal error rates. */
    private fun threshold(): Float {
        val parity = JSONObject(assets.open("parity.json").bufferedReader().use { it.readText() })
        val found = parity.getJSONArray("thresholds")
        val all = (0 until found.length()).map { found.getJSONObject(it) }.filter { it.has("threshold") }
        check(all.isNotEmpty()) { "this export has no threshold: run tfav-eval before tfav-export" }
        return all.map { it.getDouble("threshold") }.average().toFloat()
    }
}
