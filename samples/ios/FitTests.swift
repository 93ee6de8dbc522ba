import XCTest

/// `golden.json` of the export lies in the test's bundle.
final class FitTests: XCTestCase {
  func testTheGoldenVectors() throws {
    let path = try XCTUnwrap(Bundle(for: Self.self).url(forResource: "golden", withExtension: "json"))
    let golden = try XCTUnwrap(JSONSerialization.jsonObject(with: Data(contentsOf: path)) as? [String: Any])
    let image = try XCTUnwrap(golden["image"] as? [String: Any])
    for vector in try XCTUnwrap(image["fit"] as? [[String: Any]]) {
      let shape = try XCTUnwrap(vector["shape"] as? [Int])
      let size = try XCTUnwrap(vector["size"] as? Int)
      let expected = try XCTUnwrap(Data(base64Encoded: XCTUnwrap(vector["fitted"] as? String)))
      let (height, width) = (shape[0], shape[1])
      var pixels = [UInt8]()
      for y in 0..<height {
        for x in 0..<width {
          for c in 0..<3 { pixels.append(UInt8((x * y / 4 + 5 * x * (c + 1) + 3 * y) % 256)) }
        }
      }
      let found = fit(RGBImage(height: height, width: width, pixels: pixels), size: size)
      XCTAssertEqual(found.pixels.count, expected.count)
      let far = zip(found.pixels, expected).map { abs(Int($0) - Int($1)) }.max() ?? 0
      XCTAssertLessThanOrEqual(far, 1)  // a sum that lies between two numbers may round either way
    }
  }
}
