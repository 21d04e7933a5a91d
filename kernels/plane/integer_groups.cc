#include "kernels/plane/integer_groups.h"

#include <algorithm>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

Check IntegerGroups::decode(Batch batch) {
  std::array<SymbolJob, kMaxDecodeStreams> jobs;
  std::array<const uint16_t*, kMaxDecodeStreams> first_escape{};
  uint32_t count = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    Group& group = groups_[i];
    group.values.assign(size_t{section_.steps()} * kLanes, 0);
    group.outliers.clear();
    if (!batch[i]->stream(0)) continue;
    jobs[count] = section_.base_job(*batch[i], reinterpret_cast<uint16_t*>(group.values.data()));
    first_escape[i] = jobs[count++].escaped->next;
  }
  if (count > 0 && !section_.rans().decode_symbols(jobs.data(), count, section_.steps(), kLanes))
    return section_.check_escapes(batch);
  for (size_t i = 0; i < batch.size(); ++i) {
    if (first_escape[i]) place_escapes(first_escape[i], groups_[i]);
  }
  for (size_t pass = 0; pass < section_.passes(); ++pass) refine(batch, pass);
  for (size_t i = 0; i < batch.size(); ++i) write(batch[i]->group(), groups_[i]);
  return section_.check_escapes(batch);
}

// Escapes were left as they are: no value of 16 bits that is refined is as large.
void IntegerGroups::place_escapes(const uint16_t* escape, Group& group) const {
  for (size_t i = 0; i < group.values.size(); ++i) {
    if (group.values[i] != kEscapedValue) continue;
    int32_t value = section_.values.escaped_value(escape++);
    if (section_.values.is_outlier(value)) {
      group.outliers.push_back({i, value});
      value = value < 0 ? -SectionValues::kStandIn : SectionValues::kStandIn;
    }
    group.values[i] = static_cast<int16_t>(value);
  }
}

void IntegerGroups::refine(Batch batch, size_t pass) {
  std::array<RefineJob, kMaxDecodeStreams> jobs;
  uint32_t count = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    std::vector<int16_t>& values = groups_[i].values;
    if (PartStream* const stream = batch[i]->stream(1 + pass)) {
      const uint32_t g = batch[i]->group();
      jobs[count++] = {&stream->cursor, &section_.tables_of(g).pass_registers[pass], values.data(),
                       section_.shape.lanes(g)};
    } else {
      for (int16_t& value : values) value = static_cast<int16_t>(2 * value);
    }
  }
  if (count > 0) (void)section_.rans().refine_values(jobs.data(), count, section_.steps());
}

void IntegerGroups::write(uint32_t g, const Group& group) const {
  const Reconstruction how = section_.values.reconstruction(section_.class_of(g));
  const CellReconstruction cells{how.step,
                                 how.rounding,
                                 static_cast<float>(1u << how.dropped_bits),
                                 {how.fraction[0], how.fraction[1]}};
  const auto reconstruct = section_.codec.tables().vectors->quantiser.reconstruct_rows;
  const uint32_t lanes = section_.shape.lanes(g);
  for (size_t t = 0; lanes < kLanes && t < section_.steps(); ++t) {
    uint16_t row[kLanes];
    reconstruct(cells, group.values.data() + t * kLanes, 1, row, kLanes);
    std::copy_n(row, lanes, section_.coefficients_of(g) + t * section_.row());
  }
  if (lanes == kLanes) {
    reconstruct(cells, group.values.data(), section_.steps(), section_.coefficients_of(g),
                section_.row());
  }
  for (const auto& [index, value] : group.outliers) {
    section_.place_outlier(g, index / kLanes, index % kLanes, value,
                           magnitude(group.values[index]));
  }
}

}  // namespace kvcast::kernels
