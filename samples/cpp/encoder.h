// One signature of a .tflite, fed by names.
#ifndef TFAV_SAMPLES_ENCODER_H_
#define TFAV_SAMPLES_ENCODER_H_

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "litert.h"

namespace tfav {

inline void Check(LiteRtStatus status, const std::string& what) {
  if (status != 0) throw std::runtime_error(what + " failed with LiteRT's status " + std::to_string(status));
}

class Encoder {
 public:
  // Opens the first signature of `path` whose name begins with `prefix`, such as "embed_".
  Encoder(const std::string& path, const std::string& prefix) {
    try {
      Open(path, prefix);
    } catch (...) {
      Close();
      throw;
    }
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  ~Encoder() { Close(); }

  // Returns the sizes of an input, such as {1, 48000} of "waveform" and {1, 48, 48, 3} of "image".
  const std::vector<int>& Shape(const std::string& input) const {
    const auto found = shapes_.find(input);
    if (found == shapes_.end()) throw std::runtime_error("the file has no input called " + input);
    return found->second;
  }

  // Returns the output of the signature, float32. `inputs` holds the bytes of each input.
  std::vector<float> Run(const std::map<std::string, std::vector<unsigned char>>& inputs) {
    for (std::size_t place = 0; place < names_.size(); ++place) {
      const auto& bytes = inputs.at(names_[place]);
      if (bytes.size() != sizes_[place]) throw std::runtime_error(names_[place] + " has the wrong size");
      void* address = nullptr;
      Check(LiteRtLockTensorBuffer(in_[place], &address, kLiteRtWrite), "writing " + names_[place]);
      std::memcpy(address, bytes.data(), bytes.size());
      Check(LiteRtUnlockTensorBuffer(in_[place]), "writing " + names_[place]);
    }
    Check(LiteRtRunCompiledModel(compiled_, signature_, in_.size(), in_.data(), out_.size(), out_.data()), "running");
    std::vector<float> output(output_size_);
    void* address = nullptr;
    Check(LiteRtLockTensorBuffer(out_[0], &address, kLiteRtRead), "reading");
    std::memcpy(output.data(), address, output.size() * sizeof(float));
    Check(LiteRtUnlockTensorBuffer(out_[0]), "reading");
    return output;
  }

 private:
  void Open(const std::string& path, const std::string& prefix) {
    Check(LiteRtCreateEnvironment(0, nullptr, &environment_), "making an environment");
    Check(LiteRtCreateModelFromFile(environment_, path.c_str(), &model_), "reading " + path);
    LiteRtSignature signature = Find(prefix, path);
    LiteRtOptions options = nullptr;
    Check(LiteRtCreateOptions(&options), "making options");
    LiteRtStatus status = LiteRtSetOptionsHardwareAccelerators(options, kLiteRtCpu);
    if (status == 0) status = LiteRtCreateCompiledModel(environment_, model_, options, &compiled_);
    LiteRtDestroyOptions(options);
    Check(status, "compiling " + path);
    std::size_t count = 0;
    Check(LiteRtGetNumSignatureInputs(signature, &count), "asking for inputs");
    for (std::size_t place = 0; place < count; ++place) {
      const char* name = nullptr;
      LiteRtTensor tensor = nullptr;
      LiteRtTensorBufferRequirements needs = nullptr;
      Check(LiteRtGetSignatureInputName(signature, place, &name), "asking for a name");
      Check(LiteRtGetSignatureInputTensorByIndex(signature, place, &tensor), "asking for an input");
      Check(LiteRtGetCompiledModelInputBufferRequirements(compiled_, signature_, place, &needs), "asking for a buffer");
      const LiteRtRankedTensorType type = Buffer(tensor, needs, &in_);
      names_.push_back(name);
      shapes_[name] = std::vector<int>(type.dimensions, type.dimensions + type.rank);
      sizes_.push_back(Count(type) * (type.element_type == 3 ? 1 : 4));
    }
    Check(LiteRtGetNumSignatureOutputs(signature, &count), "asking for outputs");
    if (count != 1) throw std::runtime_error(path + " has several outputs, and an encoder has one");
    LiteRtTensor tensor = nullptr;
    LiteRtTensorBufferRequirements needs = nullptr;
    Check(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor), "asking for the output");
    Check(LiteRtGetCompiledModelOutputBufferRequirements(compiled_, signature_, 0, &needs), "asking for a buffer");
    output_size_ = Count(Buffer(tensor, needs, &out_));
  }

  LiteRtSignature Find(const std::string& prefix, const std::string& path) {
    std::size_t count = 0;
    Check(LiteRtGetNumModelSignatures(model_, &count), "asking for signatures");
    for (signature_ = 0; signature_ < count; ++signature_) {
      LiteRtSignature signature = nullptr;
      const char* key = nullptr;
      Check(LiteRtGetModelSignature(model_, signature_, &signature), "asking for a signature");
      Check(LiteRtGetSignatureKey(signature, &key), "asking for a signature's name");
      if (std::string(key).rfind(prefix, 0) == 0) return signature;
    }
    throw std::runtime_error(path + " has no signature that begins with " + prefix);
  }

  LiteRtRankedTensorType Buffer(LiteRtTensor tensor, LiteRtTensorBufferRequirements needs,
                                std::vector<LiteRtTensorBuffer>* buffers) {
    LiteRtRankedTensorType type{};
    Check(LiteRtGetRankedTensorType(tensor, &type), "asking for a shape");
    LiteRtTensorBuffer buffer = nullptr;
    Check(LiteRtCreateManagedTensorBufferFromRequirements(environment_, &type, needs, &buffer), "making a buffer");
    buffers->push_back(buffer);
    return type;
  }

  static std::size_t Count(const LiteRtRankedTensorType& type) {
    std::size_t count = 1;
    for (std::uint32_t axis = 0; axis < type.rank; ++axis) count *= static_cast<std::size_t>(type.dimensions[axis]);
    return count;
  }

  void Close() {
    for (LiteRtTensorBuffer buffer : in_) LiteRtDestroyTensorBuffer(buffer);
    for (LiteRtTensorBuffer buffer : out_) LiteRtDestroyTensorBuffer(buffer);
    if (compiled_) LiteRtDestroyCompiledModel(compiled_);
    if (model_) LiteRtDestroyModel(model_);
    if (environment_) LiteRtDestroyEnvironment(environment_);
  }

  LiteRtEnvironment environment_ = nullptr;
  LiteRtModel model_ = nullptr;
  LiteRtCompiledModel compiled_ = nullptr;
  std::size_t signature_ = 0, output_size_ = 0;
  std::vector<std::string> names_;
  std::vector<std::size_t> sizes_;
  std::map<std::string, std::vector<int>> shapes_;
  std::vector<LiteRtTensorBuffer> in_, out_;
};

}  // namespace tfav

#endif  // TFAV_SAMPLES_ENCODER_H_
