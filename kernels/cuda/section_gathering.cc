// The third step of a DeviceEncoding: headers, and where every piece of a section goes.
#include <cstring>
#include <string>

#include "kernels/bytes/writer.h"
#include "kernels/cuda/encode_plan.h"
#include "kernels/entropy/rans_format.h"
#include "kernels/plane/layout.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kStatesBytes = kLanes * kStateBytes;

class Gathering {
 public:
  Gathering(DeviceEncoding::Contents& contents, std::span<const StreamReport> reports)
      : contents_(contents), reports_(reports), writer_(contents.tensors) {}

  void add(SectionEncoding& section) {
    const auto& ladder = section.shape.codec->drop_bits;
    begin_plane(section);
    add_base(section);
    end_plane(section);
    for (size_t level = 1; level < ladder.size(); ++level) {
      begin_plane(section);
      for (uint32_t bits = ladder[level - 1]; bits > ladder[level]; --bits)
        add_pass(section, 1 + ladder[0] - bits);
      end_plane(section);
    }
    section.task.sinks = next_;
    section.sinks = {
        next_, uint64_t{section.shape.sinks} * section.shape.width * dtype_bytes(contents_.dtype)};
    if (section.sinks.bytes > 0)
      sink_sections_.push_back(static_cast<uint32_t>(&section - contents_.sections.data()));
    next_ = aligned(next_ + section.sinks.bytes, kDevicePlaneAlignment);
  }

  void finish() {
    std::vector<EncodeSection> tasks;
    for (const SectionEncoding& section : contents_.sections) tasks.push_back(section.task);
    const auto put = [&](auto& list, const auto& values) {
      list = {writer_.put(values), static_cast<uint32_t>(values.size()), 0};
    };
    put(contents_.tasks.sections, tasks);
    put(contents_.tasks.copies, copies_);
    put(contents_.tasks.sink_sections, sink_sections_);
    contents_.descriptors = std::move(writer_).finish();
    contents_.output_bytes = aligned(next_, kDeviceAlignment);
    contents_.report_bytes = 0;
  }

 private:
  static uint64_t aligned(uint64_t bytes, uint64_t alignment) {
    return (bytes + alignment - 1) / alignment * alignment;
  }
  void begin_plane(SectionEncoding& section) { section.planes.push_back({next_, 0}); }
  void end_plane(SectionEncoding& section) {
    DeviceEncoding::Place& plane = section.planes.back();
    plane.bytes = next_ - plane.offset;
    next_ = aligned(next_, kDevicePlaneAlignment);
  }

  void copy(uint64_t from, uint64_t bytes, uint32_t zeros, bool from_descriptors) {
    if (bytes + zeros == 0) return;
    copies_.push_back(
        {from, next_, static_cast<uint32_t>(bytes), zeros, from_descriptors ? 1u : 0u, 0});
    next_ += bytes + zeros;
  }
  void put_header(std::vector<std::byte> header) {
    copy(writer_.put(header), header.size(), 0, true);
  }

  uint32_t stream_bytes(uint32_t index) const {
    return contents_.streams[index].lanes * kStateBytes + reports_[index].words * kWordBytes;
  }
  void add_streams(const EncodePart& part) {
    for (uint32_t i = part.first_stream; i < part.first_stream + part.streams; ++i) {
      const EncodeStreamTask& stream = contents_.streams[i];
      const uint32_t words = reports_[i].words;
      const auto padding = static_cast<uint32_t>(padded(stream_bytes(i)) - stream_bytes(i));
      copy(stream.region, stream.lanes * kStateBytes, 0, false);
      copy(stream.region + kStatesBytes + uint64_t{stream.capacity - words} * kWordBytes,
           words * kWordBytes, padding, false);
    }
  }

  void add_base(SectionEncoding& section) {
    const EncodePart& part = section.parts[0];
    ByteWriter out;
    out.put(part.streams);
    out.put(section.escape_count);
    out.put(section.shape.groups);
    out.put(static_cast<uint8_t>(section.task.escape_bytes));
    out.put_zeros(3);
    for (uint32_t g = 0; g < section.shape.groups; ++g) {
      const GroupReport& report = contents_.reports[section.first_group + g];
      out.put(static_cast<uint8_t>(report.scale_class | ((report.empty & 1) ? kEmptyFlag : 0)));
    }
    out.pad(4);
    for (uint32_t i = part.first_stream; i < part.first_stream + part.streams; ++i) {
      out.put(stream_bytes(i));
      out.put(contents_.streams[i].groups);
      out.put(contents_.streams[i].escape_count);
    }
    put_header(std::move(out).finish());
    add_streams(part);
    copy(section.escapes, uint64_t{section.escape_count} * section.task.escape_bytes, 0, false);
  }

  void add_pass(SectionEncoding& section, uint32_t number) {
    const EncodePart& part = section.parts[number];
    ByteWriter out;
    out.put(part.streams);
    std::vector<uint8_t> flags((section.shape.groups + 7) / 8);
    for (uint32_t g = 0; g < section.shape.groups; ++g) {
      if (contents_.reports[section.first_group + g].empty >> number & 1)
        flags[g / 8] |= static_cast<uint8_t>(1u << g % 8);
    }
    out.put_array(flags);
    out.pad(4);
    for (uint32_t i = part.first_stream; i < part.first_stream + part.streams; ++i) {
      out.put(stream_bytes(i));
      out.put(contents_.streams[i].groups);
    }
    put_header(std::move(out).finish());
    add_streams(part);
  }

  DeviceEncoding::Contents& contents_;
  std::span<const StreamReport> reports_;
  ImageWriter writer_;
  uint64_t next_ = 0;  // output
  std::vector<CopyTask> copies_;
  std::vector<uint32_t> sink_sections_;
};

}  // namespace

Check prepare_gathering(std::span<const std::byte> report, DeviceEncoding::Contents& contents) {
  std::vector<StreamReport> reports(contents.streams.size());
  if (!reports.empty()) std::memcpy(reports.data(), report.data(), report.size());
  for (size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].words == kNone) {
      return Fault{"section " + std::to_string(contents.streams[i].section) +
                   ": a stream came out longer than its symbols' cost"};
    }
  }
  Gathering gathering(contents, reports);
  for (SectionEncoding& section : contents.sections) gathering.add(section);
  gathering.finish();
  return {};
}

}  // namespace kvcast::kernels
