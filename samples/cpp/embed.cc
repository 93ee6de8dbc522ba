// Prints the embedding of a WAV file or of a PPM image, a number per line:
//
//   embed exports/NAME/audio_float16.tflite voice.wav
//   embed exports/NAME/image_float16.tflite face.ppm
//   embed --fit=48 face.ppm    # only fits the image into a square: its pixels, a number per line
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "encoder.h"
#include "files.h"
#include "fit.h"

namespace {

template <typename T>
std::vector<unsigned char> AsBytes(const std::vector<T>& values) {
  std::vector<unsigned char> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> Embed(const std::string& model, const std::string& input) {
  tfav::Encoder encoder(model, "embed_");
  if (input.size() > 4 && input.substr(input.size() - 4) == ".wav") {
    std::vector<float> samples = tfav::ReadWav(input);
    const std::size_t length = static_cast<std::size_t>(encoder.Shape("waveform").at(1));
    const std::int32_t count = static_cast<std::int32_t>(std::min(samples.size(), length));
    samples.resize(length);  // cut, or padded with zeros, which num_samples says do not count
    return encoder.Run({{"waveform", AsBytes(samples)}, {"num_samples", AsBytes(std::vector<std::int32_t>{count})}});
  }
  const int size = encoder.Shape("image").at(1);
  return encoder.Run({{"image", tfav::Fit(tfav::ReadPpm(input), size).pixels}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: embed MODEL.tflite FILE.wav|FILE.ppm, or embed --fit=SIZE FILE.ppm\n";
    return 2;
  }
  try {
    const std::string first = argv[1];
    std::cout.precision(9);  // as many digits as tell all float32 apart
    if (first.rfind("--fit=", 0) == 0) {
      for (int pixel : tfav::Fit(tfav::ReadPpm(argv[2]), std::stoi(first.substr(6))).pixels) std::cout << pixel << "\n";
    } else {
      for (float value : Embed(first, argv[2])) std::cout << value << "\n";
    }
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
  return 0;
}
