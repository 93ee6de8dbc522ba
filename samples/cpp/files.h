// The two simplest files there are: WAV of 16-bit samples, and PPM, whose pixels stand there as they are.
#ifndef TFAV_SAMPLES_FILES_H_
#define TFAV_SAMPLES_FILES_H_

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "fit.h"

namespace tfav {

inline std::vector<std::uint8_t> Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + " cannot be opened");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Returns the samples in [-1, 1] of a WAV file of 16 kHz, one channel, 16 bits.
inline std::vector<float> ReadWav(const std::string& path) {
  const std::vector<std::uint8_t> bytes = Bytes(path);
  const auto number = [&](std::size_t at, int size) {
    std::uint32_t value = 0;
    for (int k = 0; k < size; ++k) value |= static_cast<std::uint32_t>(bytes.at(at + k)) << (8 * k);
    return value;
  };
  const auto word = [&](std::size_t at) { return std::string(bytes.begin() + at, bytes.begin() + at + 4); };
  if (bytes.size() < 12 || word(0) != "RIFF" || word(8) != "WAVE") throw std::runtime_error(path + " is no WAV file");
  bool format = false;
  for (std::size_t at = 12; at + 8 <= bytes.size(); at += 8 + number(at + 4, 4) + number(at + 4, 4) % 2) {
    if (word(at) == "fmt ") {
      format = number(at + 8, 2) == 1 && number(at + 10, 2) == 1 && number(at + 12, 4) == 16000 && number(at + 22, 2) == 16;
    } else if (word(at) == "data") {
      if (!format) throw std::runtime_error(path + " is not 16 kHz, one channel, 16 bits: convert it first");
      const std::size_t count = std::min<std::size_t>(number(at + 4, 4), bytes.size() - at - 8) / 2;
      std::vector<float> samples(count);
      for (std::size_t k = 0; k < count; ++k) {
        samples[k] = static_cast<std::int16_t>(number(at + 8 + 2 * k, 2)) / 32768.0f;
      }
      return samples;
    }
  }
  throw std::runtime_error(path + " holds no samples");
}

// Returns the image of a binary PPM file (P6) of 8 bits.
inline Image ReadPpm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  Image image;
  int most = 0;
  if (!(file >> magic >> image.width >> image.height >> most) || magic != "P6" || most != 255 || image.width < 1 ||
      image.height < 1) {
    throw std::runtime_error(path + " is no binary PPM file (P6) of 8 bits: convert it first");
  }
  file.get();
  image.pixels.resize(static_cast<std::size_t>(image.height) * image.width * 3);
  if (!file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()))) {
    throw std::runtime_error(path + " ends early");
  }
  return image;
}

}  // namespace tfav

#endif  // TFAV_SAMPLES_FILES_H_
