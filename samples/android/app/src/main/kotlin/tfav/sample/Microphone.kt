package tfav.sample

import android.Manifest
import android.annotation.SuppressLint
import android.content.Context
import android.content.pm.PackageManager
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder

fun mayRecord(context: Context) =
    context.checkSelfPermission(Manifest.permission.RECORD_AUDIO) == PackageManager.PERMISSION_GRANTED

/** Records that many seconds of 16 kHz in [-1, 1]; blocks, so call it off the main thread. */
@SuppressLint("MissingPermission") // the caller asks mayRecord first
fun record(seconds: Float): FloatArray {
    val wanted = ShortArray((seconds * SAMPLE_RATE_HZ).toInt())
    val least = AudioRecord.getMinBufferSize(
        SAMPLE_RATE_HZ, AudioFormat.CHANNEL_IN_MONO, AudioFormat.ENCODING_PCM_16BIT,
    )
    // VOICE_RECOGNITION leaves automatic gain and noise suppression out, where the phone allows it.
    val recorder = AudioRecord(
        MediaRecorder.AudioSource.VOICE_RECOGNITION, SAMPLE_RATE_HZ, AudioFormat.CHANNEL_IN_MONO,
        AudioFormat.ENCODING_PCM_16BIT, maxOf(least, SAMPLE_RATE_HZ),
    )
    check(recorder.state == AudioRecord.STATE_INITIALIZED) { "this phone does not record at 16 kHz" }
    try {
        recorder.startRecording()
        var count = 0
        while (count < wanted.size) {
            val read = recorder.read(wanted, count, wanted.size - count)
            check(read >= 0) { "the microphone stopped with code $read" }
            count += read
        }
        return samplesOf(wanted)
    } finally {
        recorder.release()
    }
}
