#include "kernels/gpu_check/encode.h"

#include <chrono>
#include <cstring>
#include <numeric>
#include <random>

#include "kernels/device_encode.h"
#include "kernels/gpu_check/timing.cuh"
#include "kernels/plane.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels::gpu_check {
namespace {

void require(const Check& check) {
  if (!check) throw std::runtime_error(check.fault().what);
}
using gpu_check::require;

// Memory that grows and is kept, so that later runs allocate nothing.
class Room {
 public:
  explicit Room(bool pinned) : pinned_(pinned) {}
  ~Room() { release(); }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  std::byte* of(size_t bytes) {
    bytes = std::max<size_t>(bytes, 1);
    if (bytes <= bytes_) return memory_;
    release();
    void* memory = nullptr;
    require(pinned_ ? cudaMallocHost(&memory, bytes) : cudaMalloc(&memory, bytes), "cudaMalloc");
    memory_ = static_cast<std::byte*>(memory);
    bytes_ = bytes;
    return memory_;
  }

 private:
  void release() {
    if (pinned_) {
      cudaFreeHost(memory_);
    } else {
      cudaFree(memory_);
    }
    memory_ = nullptr;
    bytes_ = 0;
  }
  bool pinned_;
  std::byte* memory_ = nullptr;
  size_t bytes_ = 0;
};

class EncodeRun {
 public:
  explicit EncodeRun(const Profile& profile)
      : profile_(profile), profile_dev_(to_device<std::byte>(profile_.image())) {
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking),
            "cudaStreamCreateWithFlags");
  }
  ~EncodeRun() { cudaStreamDestroy(stream_); }
  EncodeRun(const EncodeRun&) = delete;
  EncodeRun& operator=(const EncodeRun&) = delete;

  // Waits for every step. Seconds by the host's clock.
  double encode(DType dtype, std::span<const SectionToEncode> sections) {
    const auto begin = std::chrono::steady_clock::now();
    auto made = DeviceEncoding::make(profile_, dtype, sections);
    if (!made) throw std::runtime_error(made.fault().what);
    encoding_ = std::make_unique<DeviceEncoding>(std::move(*made));
    memory_ = {};
    memory_.profile_dev = profile_dev_.get();
    memory_.scratch_dev = scratch_.of(encoding_->scratch_bytes());
    step(quantise_on_device);
    require(encoding_->cut_streams({memory_.report, encoding_->report_bytes()}));
    memory_.streams_dev = streams_.of(encoding_->streams_bytes());
    step(code_on_device);
    require(encoding_->place_sections({memory_.report, encoding_->report_bytes()}));
    memory_.output_dev = output_.of(encoding_->output_bytes());
    step(gather_on_device);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  std::vector<std::byte> plane(size_t section, size_t plane) const {
    const DeviceEncoding::Place place = encoding_->plane(section, plane);
    std::vector<std::byte> bytes(place.bytes);
    require(cudaMemcpy(bytes.data(), memory_.output_dev + place.offset, place.bytes,
                       cudaMemcpyDeviceToHost),
            "cudaMemcpy");
    return bytes;
  }
  size_t output_bytes() const { return encoding_->output_bytes(); }

 private:
  template <typename Step>
  void step(Step enqueue) {
    const size_t bytes = encoding_->descriptor_bytes();
    std::byte* descriptors = descriptors_.of(bytes);
    encoding_->write_descriptors({descriptors, bytes});
    memory_.descriptors = descriptors;
    memory_.descriptors_dev = descriptors_dev_.of(bytes);
    memory_.report = report_.of(encoding_->report_bytes());
    require(enqueue(*encoding_, memory_, {}, stream_));
    require(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  DeviceEncodeProfile profile_;
  DeviceArray<std::byte> profile_dev_;
  cudaStream_t stream_ = nullptr;
  Room scratch_{false}, descriptors_dev_{false}, streams_{false}, output_{false};
  Room descriptors_{true}, report_{true};
  std::unique_ptr<DeviceEncoding> encoding_;
  EncodeMemory memory_;
};

// A section's layers, dense, one after the other.
std::vector<std::byte> dense_rows(const RandomSection& section) {
  const size_t row = section.profile.geometry.channels(section.side) * dtype_bytes(section.dtype);
  std::vector<std::byte> rows;
  for (const auto& layer : section.rows) {
    for (uint32_t t = 0; t < section.tokens.count; ++t) {
      const auto from = layer.begin() + static_cast<ptrdiff_t>(t * section.token_stride_bytes);
      rows.insert(rows.end(), from, from + static_cast<ptrdiff_t>(row));
    }
  }
  return rows;
}

std::string encode_one(const RandomSection& section) {
  const Codec scalar(section.profile, Implementation::kScalar);
  const auto expected =
      encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
  if (!expected) throw std::runtime_error(expected.fault().what);
  const std::vector<std::byte> rows = dense_rows(section);
  const auto rows_dev = to_device<std::byte>(rows);
  const Geometry& geometry = section.profile.geometry;
  const size_t layer_bytes = rows.size() / section.rows.size();
  std::vector<std::byte*> layers_dev;
  for (size_t l = 0; l < section.rows.size(); ++l) {
    layers_dev.push_back(rows_dev.get() + l * layer_bytes);
  }
  SectionToEncode one;
  one.side = section.side;
  one.tokens = section.tokens;
  one.source.layers_dev = layers_dev;
  one.source.size_bytes = layer_bytes;
  one.source.layout = DeviceLayout::contiguous(geometry.heads(section.side),
                                               geometry.dim(section.side), section.dtype);
  EncodeRun run(section.profile);
  run.encode(section.dtype, {&one, 1});
  for (size_t n = 0; n < expected->planes.size(); ++n) {
    if (run.plane(0, n) != expected->planes[n]) {
      return "plane " + std::to_string(n) + " has other bytes than scalar's";
    }
  }
  return {};
}

}  // namespace

CheckResult check_encoding(uint32_t sections, uint32_t seed) {
  CheckResult result{"encoding, byte for byte", 0, 0, {}, {}};
  std::mt19937 random(seed);
  while (result.cases < sections) {
    const RandomSection section = random_section(random);
    if (is_fp8(section.dtype) || section.width() == 0) continue;
    const std::string wrong = encode_one(section);
    if (!wrong.empty() && result.failures++ == 0) {
      result.first_failure = "case " + std::to_string(result.cases) + ": " + wrong;
    }
    ++result.cases;
  }
  return result;
}

Rate encode_ours(const BenchWork& work, int runs) {
  // vLLM's paged layout, blocks in order; every layer and chunk holds the work's rows.
  constexpr uint64_t kSide = uint64_t{kBenchTokens} * kBenchChannels * 2;
  const auto cache_dev = device_array<std::byte>(kBenchLayers * 2 * kSide);
  std::vector<std::byte*> layers_dev[2];
  for (uint32_t i = 0; i < 2 * kBenchLayers; ++i) {
    std::byte* side_dev = cache_dev.get() + i * kSide;
    layers_dev[i % 2].push_back(side_dev);
    for (uint32_t c = 0; c < kBenchChunks; ++c) {
      const std::vector<std::byte>& rows = work.kv[i % 2];
      require(
          cudaMemcpy(side_dev + c * rows.size(), rows.data(), rows.size(), cudaMemcpyHostToDevice),
          "cudaMemcpy");
    }
  }
  constexpr uint32_t kBlockTokens = 16;
  std::vector<int32_t> table(kBenchTokens / kBlockTokens);
  std::iota(table.begin(), table.end(), 0);
  std::vector<SectionToEncode> sections;
  for (uint32_t chunk = 0; chunk < kBenchChunks; ++chunk) {
    for (uint32_t i = 0; i < 2 * kBenchLayers; ++i) {
      SectionToEncode section;
      section.group = i / 2;
      section.side = static_cast<Side>(i % 2);
      // As the work was coded: RoPE of the first positions, wherever the rows lie.
      section.tokens = {0, kBenchChunkTokens};
      section.source.layers_dev = std::span(layers_dev[i % 2]).subspan(i / 2, 1);
      section.source.size_bytes = kSide;
      section.source.layout =
          DeviceLayout::paged(kBlockTokens, kBenchHeads, kBenchDim, DType::kBf16);
      section.source.block_table = table;
      section.source.first_slot = uint64_t{chunk} * kBenchChunkTokens;
      sections.push_back(section);
    }
  }
  EncodeRun run(work.profile);
  double least = 1e30;
  for (int i = 0; i <= runs; ++i) {
    const double seconds = run.encode(DType::kBf16, sections);
    if (i > 0) least = std::min(least, seconds);
  }
  for (const size_t s : {size_t{0}, size_t{1}, sections.size() - 1}) {
    for (size_t n = 0; n < work.planes[s % 2].size(); ++n) {
      if (run.plane(s, n) != work.planes[s % 2][n]) {
        throw std::runtime_error("the device encodes other bytes than the host");
      }
    }
  }
  return {"encode, " + work.name, 2.0 * static_cast<double>(kBenchElements),
          static_cast<double>(run.output_bytes()), least, "bf16 in; the host's share counted"};
}

}  // namespace kvcast::kernels::gpu_check
