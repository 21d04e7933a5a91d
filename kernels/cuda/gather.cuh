// Puts sections together on a device: headers that the host wrote, streams, escapes, sinks.
#pragma once

#include "kernels/cuda/encode_arguments.cuh"

namespace kvcast::kernels {
namespace {

struct GatherPieces {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 8;
  static constexpr size_t kSharedBytes = 0;
  EncodeArguments arguments;

  KVCAST_DEVICE void operator()() const {
    const TaskList<CopyTask>& copies = arguments.tasks.copies;
    for (uint32_t i = block_index(); i < copies.count; i += block_count()) {
      const CopyTask& copy = arguments.common.list(copies)[i];
      const std::byte* const from =
          copy.from_descriptors ? arguments.common.descriptors : arguments.streams;
      const auto* const pieces = at<uint16_t>(from, copy.from);
      auto* const to = at<uint16_t>(arguments.output, copy.to);
      const uint32_t count = copy.bytes / 2, end = (copy.bytes + copy.zeros) / 2;
      for (uint32_t p = thread_index(); p < end; p += kThreads)
        to[p] = p < count ? pieces[p] : uint16_t{0};
    }
  }
};

// Sink tokens of the engine's tensor, as they are: a block a section.
template <typename Element>
struct GatherSinks {
  static constexpr uint32_t kThreads = 256, kBlocksPerSm = 4;
  static constexpr size_t kSharedBytes = 0;
  EncodeArguments arguments;

  KVCAST_DEVICE void operator()() const {
    const TaskList<uint32_t>& sections = arguments.tasks.sink_sections;
    for (uint32_t i = block_index(); i < sections.count; i += block_count()) {
      const EncodeSection& section = arguments.section(arguments.common.list(sections)[i]);
      const DecodeSection& place = section.place;
      const SectionImage& image = arguments.common.image(place);
      Element* const to = at<Element>(arguments.output, section.sinks);
      for (uint32_t e = thread_index(); e < place.sink_tokens * image.width; e += kThreads) {
        const uint32_t channel = e % image.channels, row = e / image.channels;
        const uint32_t slot = place.first_slot + row % place.sink_tokens;
        const std::byte* const head =
            place_of(arguments.common, place, row / place.sink_tokens, slot, channel / image.dim);
        to[e] = reinterpret_cast<const Element*>(head)[channel % image.dim];
      }
    }
  }
};

}  // namespace
}  // namespace kvcast::kernels
