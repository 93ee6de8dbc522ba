import Foundation

/// An image of RGB bytes, [height][width][3] in one row.
struct RGBImage {
  let height: Int
  let width: Int
  let pixels: [UInt8]
}

/// Which pixels a pixel of the result is the weighted mean of.
private struct Span {
  let first: Int
  let weights: [Float]
}

/// A triangle as wide as the step from one pixel of the result to the next, as training has it.
private func spans(from: Int, to: Int) -> [Span] {
  let step = 1 / (Float(to) / Float(from))
  let reach = max(step, 1)  // below 1 it would leave gaps: enlarging is plain interpolation
  return (0..<to).map { place in
    let middle = (Float(place) + 0.5) * step
    let first = max(0, Int((middle - reach - 0.5).rounded(.up)))
    let last = min(from - 1, Int((middle + reach - 0.5).rounded(.down)))
    let weights = (first...last).map { max(0, 1 - abs(Float($0) + 0.5 - middle) / reach) }
    let total = weights.reduce(0, +)
    return Span(first: first, weights: weights.map { $0 / total })
  }
}

/// Returns a square of `size` pixels: the image scaled to fit, with grey (127) on both sides.
func fit(_ image: RGBImage, size: Int) -> RGBImage {
  let scale = Double(size) / Double(max(image.height, image.width))
  func inner(_ side: Int) -> Int {
    min(max(Int((Double(side) * scale).rounded(.toNearestOrEven)), 1), size)
  }
  let height = inner(image.height)
  let width = inner(image.width)
  let line = image.width * 3
  var lines = [Float](repeating: 0, count: height * line)
  for (y, span) in spans(from: image.height, to: height).enumerated() {
    for x in 0..<line {
      var sum: Float = 0
      for (k, weight) in span.weights.enumerated() {
        sum += weight * Float(image.pixels[(span.first + k) * line + x])
      }
      lines[y * line + x] = sum
    }
  }
  var fitted = [UInt8](repeating: 127, count: size * size * 3)
  let top = (size - height) / 2
  let left = (size - width) / 2
  for (x, span) in spans(from: image.width, to: width).enumerated() {
    for y in 0..<height {
      for c in 0..<3 {
        var sum: Float = 0
        for (k, weight) in span.weights.enumerated() {
          sum += weight * lines[y * line + (span.first + k) * 3 + c]
        }
        let value = min(max(sum.rounded(.toNearestOrEven), 0), 255)
        fitted[((top + y) * size + left + x) * 3 + c] = UInt8(value)
      }
    }
  }
  return RGBImage(height: size, width: size, pixels: fitted)
}
