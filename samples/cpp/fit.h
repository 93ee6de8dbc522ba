// An image as an encoder of tfav takes it: scaled to fit into a square, with grey on both sides.
#ifndef TFAV_SAMPLES_FIT_H_
#define TFAV_SAMPLES_FIT_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace tfav {

struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3], RGB
};

constexpr std::uint8_t kGrey = 127;

// Which pixels of `in` a pixel of `out` is the weighted mean of: a triangle as wide as the step from one to the next.
struct Span {
  int first = 0;
  std::vector<float> weights;
};

inline std::vector<Span> Spans(int in, int out) {
  const float step = 1.0f / (static_cast<float>(out) / static_cast<float>(in));
  const float reach = std::max(step, 1.0f);  // below 1 it would leave gaps: enlarging is plain interpolation
  std::vector<Span> spans(out);
  for (int place = 0; place < out; ++place) {
    const float middle = (place + 0.5f) * step;
    const int first = std::max(0, static_cast<int>(std::ceil(middle - reach - 0.5f)));
    const int last = std::min(in - 1, static_cast<int>(std::floor(middle + reach - 0.5f)));
    float total = 0.0f;
    Span& span = spans[place];
    span.first = first;
    for (int from = first; from <= last; ++from) {
      const float weight = std::max(0.0f, 1.0f - std::abs(from + 0.5f - middle) / reach);
      span.weights.push_back(weight);
      total += weight;
    }
    for (float& weight : span.weights) weight /= total;
  }
  return spans;
}

// Returns [size, size, 3]: the image with its longer side `size` pixels long, its aspect kept.
inline Image Fit(const Image& image, int size) {
  const double scale = static_cast<double>(size) / std::max(image.height, image.width);
  // nearbyint rounds halves to the even number, as training does.
  const int height = std::clamp(static_cast<int>(std::nearbyint(image.height * scale)), 1, size);
  const int width = std::clamp(static_cast<int>(std::nearbyint(image.width * scale)), 1, size);
  const std::vector<Span> rows = Spans(image.height, height), columns = Spans(image.width, width);
  std::vector<float> lines(static_cast<std::size_t>(height) * image.width * 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < image.width * 3; ++x) {
      float sum = 0.0f;
      for (std::size_t k = 0; k < rows[y].weights.size(); ++k) {
        sum += rows[y].weights[k] * image.pixels[(rows[y].first + k) * image.width * 3 + x];
      }
      lines[static_cast<std::size_t>(y) * image.width * 3 + x] = sum;
    }
  }
  Image fitted{size, size, std::vector<std::uint8_t>(static_cast<std::size_t>(size) * size * 3, kGrey)};
  const int top = (size - height) / 2, left = (size - width) / 2;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        float sum = 0.0f;
        for (std::size_t k = 0; k < columns[x].weights.size(); ++k) {
          const std::size_t from = static_cast<std::size_t>(y) * image.width + columns[x].first + k;
          sum += columns[x].weights[k] * lines[from * 3 + c];
        }
        const std::size_t to = static_cast<std::size_t>(top + y) * size + left + x;
        fitted.pixels[to * 3 + c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(sum), 0.0f, 255.0f));
      }
    }
  }
  return fitted;
}

}  // namespace tfav

#endif  // TFAV_SAMPLES_FIT_H_
