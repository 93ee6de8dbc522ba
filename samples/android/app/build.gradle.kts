plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "tfav.sample"
    compileSdk = 35
    defaultConfig {
        applicationId = "tfav.sample"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    kotlinOptions { jvmTarget = "17" }
    androidResources { noCompress += "tflite" } // an encoder is mapped into memory as it lies there
}

dependencies {
    implementation("com.google.ai.edge.litert:litert:1.4.1")
}
