#include "player/device/decode_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/exact.h"
#include "player/device/placing.h"

namespace kvcast::player {
namespace {

using kernels::Check;
using kernels::Checked;
using kernels::DeviceRuntime;
using kernels::Fault;
using kernels::SectionKind;
using kernels::Side;

// Of a batch: enough to fill a GPU, few enough that early layers are ready before late ones.
constexpr uint64_t kBatchElements = 64u << 20;

uint64_t elements(const DecodeJob& job, const kernels::Profile& profile) {
  return uint64_t{job.tokens.count} * job.channels * profile.groups[job.group].layers;
}

}  // namespace

DecodeQueue::DecodeQueue(DeviceKvSink& sink)
    : sink_(sink),
      device_(sink.room().device()),
      memory_(sink.room().memory()),
      resident_(memory_) {}

DecodeQueue::~DecodeQueue() {
  // A device that fails here has failed before, and was told of then.
  const Check copied = device_.synchronise(DeviceRuntime::stream(memory_.copies));
  const Check decoded = device_.synchronise(DeviceRuntime::stream(memory_.decodes));
  static_cast<void>(copied.ok() && decoded.ok());
}

Check DecodeQueue::use_profile(const kernels::Profile& profile) {
  std::unique_ptr<DeviceProfileCopy>& kept = memory_.profile;
  if (kept && kept->profile == profile) return {};
  kept.reset();
  auto copy = std::make_unique<DeviceProfileCopy>(profile);
  const std::span<const std::byte> image = copy->on_host.image();
  auto memory = device_.allocate(image.size());
  if (!memory) return memory.fault();
  copy->image_dev = std::move(*memory);
  const kernels::DeviceStream stream = DeviceRuntime::stream(memory_.copies);
  Check copied = device_.copy_to_device(copy->image_dev.get(), image.data(), image.size(), stream);
  if (copied) kept = std::move(copy);
  return copied;
}

void DecodeQueue::submit(DecodeJob job) {
  DecodeDone done{job.chunk, job.group, -1, {}, job.work, 0};
  waiting_.push_back({std::move(job), std::move(done)});
}

std::vector<DecodeDone> DecodeQueue::take_done() {
  return std::exchange(done_, {});
}

Checked<bool> DecodeQueue::pump() {
  bool any = false;
  for (const auto step : {&DecodeQueue::retire, &DecodeQueue::form, &DecodeQueue::launch}) {
    const Checked<bool> stepped = (this->*step)();
    if (!stepped) return stepped;
    any = any || *stepped;
  }
  const Checked<bool> sent = resident_.upload();
  if (!sent) return sent;
  return any || *sent;
}

bool DecodeQueue::hold(const Section& section) {
  const auto& planes = section.job.planes;
  for (size_t i = 0; i < planes.size(); ++i) {
    if (resident_.hold(planes[i])) continue;
    while (i-- > 0) resident_.let_go(planes[i]);
    return false;
  }
  return true;
}

void DecodeQueue::let_go(const Section& section) {
  for (const Resident::Object& object : section.job.planes) resident_.let_go(object);
}

// The next lower level, before all that waits; or the end.
void DecodeQueue::fail(Section section, const Fault& fault) {
  DecodeJob& job = section.job;
  if (section.done.fault.empty()) {
    section.done.fault = fmt::format(
        "{}: group {}, {}: {} (byte {} of the section)", job.planes.back()->name(), job.group,
        job.side == Side::kKey ? "keys" : "values", fault.what, fault.offset);
  }
  job.planes.pop_back();
  if (job.planes.empty()) {
    done_.push_back(std::move(section.done));
  } else {
    waiting_.push_front(std::move(section));
  }
}

Check DecodeQueue::decode_exact(Section& section) {
  const DecodeJob& job = section.job;
  const size_t row_bytes = size_t{job.channels} * kernels::dtype_bytes(job.dtype);
  std::vector<std::byte> rows(job.tokens.count * row_bytes);
  const auto bytes = job.planes[0]->section(SectionKind::kExact, job.group, job.side);
  const Check decoded = bytes ? kernels::decode_exact(job.dtype, job.tokens.count, job.channels,
                                                      *bytes, {rows.data(), row_bytes})
                              : Check(Fault{"the exact section is missing"});
  if (!decoded) {
    fail(std::move(section), decoded.fault());
    return {};
  }
  const kernels::DeviceStream stream = DeviceRuntime::stream(memory_.decodes);
  Check placed = place_rows(device_, sink_.cache(), sink_.shape(), job.group, job.side, job.tokens,
                            {rows.data(), row_bytes}, stream);
  if (placed) placed = device_.synchronise(stream);
  section.done.level = 0;
  done_.push_back(std::move(section.done));
  return placed;
}

// Fault: with the index of the section that is wrong in its text, not in its offset.
Checked<kernels::DecodePlan> DecodeQueue::plan(std::span<const Section> sections) const {
  const kernels::Profile& profile = memory_.profile->profile;
  std::vector<kernels::SectionToDecode> to_decode;
  std::vector<std::vector<kernels::DevicePlane>> planes(sections.size());
  for (size_t i = 0; i < sections.size(); ++i) {
    const DecodeJob& job = sections[i].job;
    for (size_t n = 0; n < job.planes.size(); ++n) {
      const auto kind = n == 0 ? SectionKind::kBase : SectionKind::kRefinement;
      const auto plane = resident_.plane(job.planes[n], kind, job.group, job.side);
      if (!plane) return Fault{fmt::format("plane {} lacks the section", n)};
      planes[i].push_back(*plane);
    }
    const kernels::LayerGroup& layers = profile.groups[job.group];
    const DeviceCache& cache = sink_.cache();
    const bool keys = job.side == Side::kKey;
    kernels::SectionToDecode section;
    section.group = job.group;
    section.side = job.side;
    section.tokens = job.tokens;
    section.planes = planes[i];
    section.sinks = resident_.plane(job.planes[0], SectionKind::kSinks, job.group, job.side)
                        .value_or(kernels::DevicePlane{});
    section.destination.layers_dev = std::span(keys ? cache.keys_dev : cache.values_dev)
                                         .subspan(layers.first_layer, layers.layers);
    section.destination.size_bytes = keys ? cache.key_bytes : cache.value_bytes;
    section.destination.layout = keys ? cache.key_layout : cache.value_layout;
    section.destination.block_table = cache.blocks;
    section.destination.first_slot = cache.first_slot + job.tokens.begin;
    to_decode.push_back(section);
  }
  return kernels::DecodePlan::make(memory_.profile->on_host, sink_.shape().dtype, to_decode,
                                   memory_.arena.bytes());
}

// Sections from `count` on wait again, in front.
void DecodeQueue::put_back(Batch& batch, size_t count) {
  while (batch.sections.size() > count) {
    let_go(batch.sections.back());
    waiting_.push_front(std::move(batch.sections.back()));
    batch.sections.pop_back();
  }
}

// False: the batch was made smaller, or a section of it failed.
Checked<bool> DecodeQueue::try_plan(Batch& batch) {
  auto made = plan(batch.sections);
  if (!made && batch.sections.size() > 1) {  // which one it is, one by one
    for (size_t i = 0; i < batch.sections.size(); ++i) {
      const auto alone = plan(std::span(batch.sections).subspan(i, 1));
      if (alone) continue;
      put_back(batch, i + 1);
      Section bad = std::move(batch.sections.back());
      batch.sections.pop_back();
      let_go(bad);
      fail(std::move(bad), alone.fault());
      return false;
    }
  }
  if (!made) {
    Section bad = std::move(batch.sections[0]);
    batch.sections.clear();
    let_go(bad);
    fail(std::move(bad), made.fault());
    return false;
  }
  const size_t scratch = made->scratch_bytes(), descriptors = made->descriptor_bytes();
  if (scratch <= memory_.scratch_bytes && descriptors <= BatchSlot::kDescriptorBytes) {
    batch.plan = std::move(*made);
    return true;
  }
  if (batch.sections.size() == 1) {
    return Fault{fmt::format(
        "decoding one section takes {} bytes of scratch memory and {} of descriptors; there are {} "
        "and {}: raise scratch_bytes, or pack smaller chunks",
        scratch, descriptors, memory_.scratch_bytes, BatchSlot::kDescriptorBytes)};
  }
  put_back(batch, batch.sections.size() / 2);
  return false;
}

// Sections that wait, for as long as their planes find room.
void DecodeQueue::gather(Batch& batch) {
  uint64_t size = 0;
  while (!waiting_.empty() && batch.sections.size() < BatchSlot::kSections) {
    const uint64_t more = elements(waiting_.front().job, memory_.profile->profile);
    if (!batch.sections.empty() && size + more > kBatchElements) return;
    if (!hold(waiting_.front())) return;
    size += more;
    batch.sections.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

Checked<bool> DecodeQueue::form() {
  if (forming_ || waiting_.empty() || running_.size() == DeviceMemory::kSlots) return false;
  if (waiting_.front().job.exact) {
    Section section = std::move(waiting_.front());
    waiting_.pop_front();
    if (Check decoded = decode_exact(section); !decoded) return decoded.fault();
    return true;
  }
  Batch batch;
  gather(batch);
  if (batch.sections.empty() && running_.empty()) {
    resident_.drop();  // what is left lies scattered
    gather(batch);
  }
  if (batch.sections.empty()) {
    if (!running_.empty()) return false;  // what it holds will be free
    uint64_t bytes = 0;
    for (const auto& plane : waiting_.front().job.planes) bytes += Resident::needed_bytes(*plane);
    return Fault{fmt::format(
        "chunk {}'s planes take {} bytes of device memory, and compressed_bytes is {}: raise it",
        waiting_.front().job.chunk, bytes, memory_.arena.bytes())};
  }
  while (!batch.sections.empty()) {
    const Checked<bool> planned = try_plan(batch);
    if (!planned) {
      put_back(batch, 0);
      return planned;
    }
    if (!*planned) continue;
    for (const Section& section : batch.sections) batch.work += section.job.work;
    forming_ = std::move(batch);
    return true;
  }
  return true;
}

Checked<bool> DecodeQueue::launch() {
  if (!forming_) return false;
  for (const Section& section : forming_->sections) {
    for (const Resident::Object& object : section.job.planes) {
      if (!resident_.complete(object)) return false;
    }
  }
  Batch batch = std::move(*forming_);
  forming_.reset();
  batch.slot = next_slot_;
  next_slot_ = (next_slot_ + 1) % DeviceMemory::kSlots;
  batch.launched = std::chrono::steady_clock::now();
  const BatchSlot& slot = memory_.slots[batch.slot];
  batch.plan->write_descriptors({slot.descriptors, batch.plan->descriptor_bytes()});
  running_.push_back(std::move(batch));  // first: it lives as long as the stream needs it
  const kernels::DecodePlan& plan = *running_.back().plan;

  const kernels::DeviceStream copies = DeviceRuntime::stream(memory_.copies);
  const kernels::DeviceStream decodes = DeviceRuntime::stream(memory_.decodes);
  kernels::DecodeMemory memory;
  memory.profile_dev = static_cast<const std::byte*>(memory_.profile->image_dev.get());
  memory.planes_dev = memory_.planes();
  memory.scratch_dev = static_cast<std::byte*>(memory_.scratch_dev.get());
  memory.descriptors = slot.descriptors;
  memory.errors_dev = slot.errors_dev;
  Check check = device_.record(slot.copied.get(), copies);
  if (check) check = device_.wait(slot.copied.get(), decodes);
  if (check) check = device_.decode(plan, memory, memory_.share, decodes);
  if (check) {
    check = device_.copy_to_host(slot.errors, slot.errors_dev, plan.sections() * sizeof(uint32_t),
                                 decodes);
  }
  if (check) check = device_.record(slot.done.get(), decodes);
  if (!check) return check.fault();
  return true;
}

Checked<bool> DecodeQueue::retire() {
  if (running_.empty()) return false;
  const BatchSlot& slot = memory_.slots[running_.front().slot];
  const auto passed = device_.passed(slot.done.get());
  if (!passed) return passed.fault();
  if (!*passed) return false;
  Batch batch = std::move(running_.front());
  running_.pop_front();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - batch.launched;
  std::vector<uint32_t> one(batch.sections.size());
  for (size_t i = 0; i < batch.sections.size(); ++i) {
    Section& section = batch.sections[i];
    let_go(section);
    one[i] = slot.errors[i];
    const Check sound = batch.plan->check_errors(one);
    one[i] = 0;
    if (!sound) {
      fail(std::move(section), Fault{sound.fault().what, 0});
      continue;
    }
    section.done.level = static_cast<int>(section.job.planes.size()) - 1;
    section.done.thread_seconds += took.count() * section.job.work / std::max(batch.work, 1e-300);
    done_.push_back(std::move(section.done));
  }
  return true;
}

}  // namespace kvcast::player
