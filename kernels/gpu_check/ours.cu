#include <cmath>
#include <numeric>
#include <random>

#include "kernels/device_decode.h"
#include "kernels/gpu_check/device_run.h"
#include "kernels/gpu_check/ours.h"
#include "kernels/gpu_check/timing.cuh"
#include "kernels/plane.h"

namespace kvcast::kernels::gpu_check {
namespace {

constexpr uint32_t kBlockTokens = 16, kBlocks = kBenchTokens / kBlockTokens;
constexpr uint64_t kBlockBytes = uint64_t{kBlockTokens} * kBenchChannels * 2;
constexpr uint64_t kSideBytes = kBlocks * kBlockBytes, kLayerBytes = 2 * kSideBytes;

void require(const Check& check) {
  if (!check) throw std::runtime_error(check.fault().what);
}
using gpu_check::require;

struct FreePinned {
  void operator()(std::byte* memory) const { cudaFreeHost(memory); }
};
using Pinned = std::unique_ptr<std::byte[], FreePinned>;

Pinned pinned(size_t bytes) {
  void* memory = nullptr;
  require(cudaMallocHost(&memory, std::max<size_t>(bytes, 1)), "cudaMallocHost");
  return Pinned(static_cast<std::byte*>(memory));
}

// A plan and the memory it needs beside the scratch.
struct Planned {
  Planned(const DeviceProfile& profile, std::span<const SectionToDecode> sections, size_t bytes)
      : plan(make(profile, sections, bytes)),
        descriptors(pinned(plan.descriptor_bytes())),
        errors_dev(device_array<uint32_t>(plan.sections())) {
    plan.write_descriptors({descriptors.get(), plan.descriptor_bytes()});
  }
  static DecodePlan make(const DeviceProfile& profile, std::span<const SectionToDecode> sections,
                         size_t bytes) {
    auto made = DecodePlan::make(profile, DType::kBf16, sections, bytes);
    if (!made) throw std::runtime_error(made.fault().what);
    return std::move(*made);
  }
  DecodePlan plan;
  Pinned descriptors;
  DeviceArray<uint32_t> errors_dev;
};

// Everything on the device: profile, planes of all chunks, the cache of vLLM's paged layout.
class Arena {
 public:
  explicit Arena(const BenchWork& work)
      : work_(work),
        profile_(work.profile),
        profile_dev_(to_device<std::byte>(profile_.image())),
        cache_dev_(device_array<std::byte>(kBenchLayers * kLayerBytes)),
        table_(kBlocks) {
    std::iota(table_.begin(), table_.end(), 0);
    std::shuffle(table_.begin(), table_.end(), std::mt19937(9));
    for (uint32_t layer = 0; layer < kBenchLayers; ++layer) {
      keys_dev_.push_back(cache_dev_.get() + layer * kLayerBytes);
      values_dev_.push_back(keys_dev_.back() + kSideBytes);
    }
    planes_.reserve(size_t{kBenchChunks} * kBenchLayers * 2);
    for (uint32_t chunk = 0; chunk < kBenchChunks; ++chunk) add_chunk(chunk);
    planes_dev_ = device_array<std::byte>(block_.bytes().size());
    require(cudaMemcpy(planes_dev_.get(), block_.bytes().data(), block_.bytes().size(),
                       cudaMemcpyHostToDevice),
            "cudaMemcpy");
  }

  std::span<const std::byte> planes() const { return block_.bytes(); }
  std::byte* planes_dev() const { return planes_dev_.get(); }
  size_t chunk_begin(uint32_t chunk) const { return chunk_begin_[chunk]; }
  size_t chunk_end(uint32_t chunk) const {
    return chunk + 1 < kBenchChunks ? chunk_begin_[chunk + 1] : block_.bytes().size();
  }

  Planned plan(uint32_t first_chunk, uint32_t chunks) {
    const size_t each = size_t{kBenchLayers} * 2;
    Planned made(profile_, std::span(sections_).subspan(first_chunk * each, chunks * each),
                 block_.bytes().size());
    if (made.plan.scratch_bytes() > scratch_bytes_) {
      scratch_bytes_ = made.plan.scratch_bytes();
      scratch_dev_.reset();
      scratch_dev_ = device_array<std::byte>(scratch_bytes_);
    }
    return made;
  }

  void decode(const Planned& planned, uint32_t max_sms, cudaStream_t stream) const {
    DecodeMemory memory;
    memory.profile_dev = profile_dev_.get();
    memory.planes_dev = planes_dev_.get();
    memory.scratch_dev = scratch_dev_.get();
    memory.descriptors = planned.descriptors.get();
    memory.errors_dev = planned.errors_dev.get();
    require(decode_on_device(planned.plan, memory, {max_sms}, stream));
  }

  // Error words, and two sections of the first and the last chunk, as the host decodes them.
  void check(const Planned& planned) const {
    std::vector<uint32_t> errors(planned.plan.sections());
    require(cudaMemcpy(errors.data(), planned.errors_dev.get(), errors.size() * sizeof(uint32_t),
                       cudaMemcpyDeviceToHost),
            "cudaMemcpy");
    require(planned.plan.check_errors(errors));
    for (const Side side : {Side::kKey, Side::kValue}) {
      check_section(0, 0, side);
      check_section(kBenchChunks - 1, kBenchLayers - 1, side);
    }
  }
  void clear_cache() const {
    require(cudaMemset(cache_dev_.get(), 0, kBenchLayers * kLayerBytes), "cudaMemset");
  }

 private:
  void add_chunk(uint32_t chunk) {
    chunk_begin_.push_back(block_.bytes().size());
    for (uint32_t layer = 0; layer < kBenchLayers; ++layer) {
      for (const Side side : {Side::kKey, Side::kValue}) {
        std::vector<DevicePlane>& placed = planes_.emplace_back();
        for (const auto& plane : work_.planes[static_cast<size_t>(side)]) {
          placed.push_back(block_.add(plane));
        }
        SectionToDecode section;
        section.group = layer;
        section.side = side;
        section.tokens = {uint64_t{chunk} * kBenchChunkTokens, kBenchChunkTokens};
        section.planes = placed;
        section.destination.layers_dev =
            std::span(side == Side::kKey ? keys_dev_ : values_dev_).subspan(layer, 1);
        section.destination.size_bytes = kSideBytes;
        section.destination.layout =
            DeviceLayout::paged(kBlockTokens, kBenchHeads, kBenchDim, DType::kBf16);
        section.destination.block_table = table_;
        section.destination.first_slot = section.tokens.begin;
        sections_.push_back(section);
      }
    }
  }

  void check_section(uint32_t chunk, uint32_t layer, Side side) const {
    const Codec codec(work_.one_layer);
    const TokenRange tokens{uint64_t{chunk} * kBenchChunkTokens, kBenchChunkTokens};
    const size_t row_bytes = kBenchChannels * sizeof(uint16_t);
    std::vector<std::byte> expected(kBenchChunkTokens * row_bytes), got(expected.size());
    const MutableTensorView view{expected.data(), row_bytes};
    const auto& planes = work_.planes[static_cast<size_t>(side)];
    const std::vector<std::span<const std::byte>> spans(planes.begin(), planes.end());
    require(decode_section(codec, 0, side, tokens, DType::kBf16, spans, {}, {&view, 1}));
    const std::byte* base_dev = (side == Side::kKey ? keys_dev_ : values_dev_)[layer];
    for (uint32_t block = 0; block < kBenchChunkTokens / kBlockTokens; ++block) {
      const int32_t physical = table_[chunk * (kBenchChunkTokens / kBlockTokens) + block];
      require(cudaMemcpy(got.data() + block * kBlockBytes,
                         base_dev + static_cast<size_t>(physical) * kBlockBytes, kBlockBytes,
                         cudaMemcpyDeviceToHost),
              "cudaMemcpy");
    }
    std::vector<float> a(expected.size() / 2), b(a.size());
    load_f32(DType::kBf16, expected.data(), a);
    load_f32(DType::kBf16, got.data(), b);
    for (size_t i = 0; i < a.size(); ++i) {
      if (std::abs(a[i] - b[i]) > 0x1p-7f * std::abs(a[i]) + 2e-5f) {
        throw std::runtime_error(work_.name +
                                 ": the cache holds other values than the host decodes");
      }
    }
  }

  const BenchWork& work_;
  DeviceProfile profile_;
  DeviceArray<std::byte> profile_dev_, cache_dev_, planes_dev_, scratch_dev_;
  size_t scratch_bytes_ = 0;
  std::vector<int32_t> table_;
  std::vector<std::byte*> keys_dev_, values_dev_;
  PlaneBlock block_;
  std::vector<size_t> chunk_begin_;
  std::vector<std::vector<DevicePlane>> planes_;
  std::vector<SectionToDecode> sections_;  // chunk by chunk
};

}  // namespace

Rate decode_ours(const BenchWork& work, uint32_t max_sms, int runs) {
  Arena arena(work);
  const Planned all = arena.plan(0, kBenchChunks);
  arena.clear_cache();
  const double seconds =
      least_seconds(runs, [&](cudaStream_t stream) { arena.decode(all, max_sms, stream); });
  arena.check(all);
  std::string note = "bf16 out, paged";
  if (max_sms > 0) note += ", at most " + std::to_string(max_sms) + " multiprocessors";
  return {work.name, 2.0 * static_cast<double>(kBenchElements),
          static_cast<double>(arena.planes().size()), seconds, note};
}

FromPinned decode_from_pinned(const BenchWork& work, int runs) {
  Arena arena(work);
  const std::span<const std::byte> planes = arena.planes();
  const Pinned host = pinned(planes.size());
  std::copy(planes.begin(), planes.end(), host.get());
  std::vector<Planned> chunks;
  for (uint32_t c = 0; c < kBenchChunks; ++c) chunks.push_back(arena.plan(c, 1));
  const auto copy = [&](size_t begin, size_t end, cudaStream_t stream) {
    require(cudaMemcpyAsync(arena.planes_dev() + begin, host.get() + begin, end - begin,
                            cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync");
  };
  FromPinned result;
  result.copy_seconds =
      least_seconds(runs, [&](cudaStream_t stream) { copy(0, planes.size(), stream); });
  result.last_chunk_seconds =
      least_seconds(runs, [&](cudaStream_t stream) { arena.decode(chunks.back(), 0, stream); });

  cudaStream_t decodes = nullptr;
  cudaEvent_t here[kBenchChunks + 1] = {};
  require(cudaStreamCreateWithFlags(&decodes, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  for (cudaEvent_t& event : here) {
    require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  }
  require(cudaMemset(arena.planes_dev(), 0, planes.size()), "cudaMemset");
  arena.clear_cache();
  result.seconds = least_seconds(runs, [&](cudaStream_t copies) {
    for (uint32_t c = 0; c < kBenchChunks; ++c) {
      copy(arena.chunk_begin(c), arena.chunk_end(c), copies);
      require(cudaEventRecord(here[c], copies), "cudaEventRecord");
      require(cudaStreamWaitEvent(decodes, here[c], 0), "cudaStreamWaitEvent");
      arena.decode(chunks[c], 0, decodes);
    }
    require(cudaEventRecord(here[kBenchChunks], decodes), "cudaEventRecord");
    require(cudaStreamWaitEvent(copies, here[kBenchChunks], 0), "cudaStreamWaitEvent");
  });
  for (const Planned& chunk : chunks) arena.check(chunk);
  for (const cudaEvent_t event : here) cudaEventDestroy(event);
  cudaStreamDestroy(decodes);
  return result;
}

}  // namespace kvcast::kernels::gpu_check
