// Times as text: milliseconds with three decimals.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <string>

namespace kvcast::origin {

// "1.250". By whole numbers, a tenth of what std::to_chars takes for a double; negative: "0.000".
inline void append_thousandths(double value, std::string& to) {
  const auto thousandths = static_cast<uint64_t>(std::llround(std::max(0.0, value) * 1000));
  std::array<char, 24> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), thousandths / 1000).ptr;
  to.append(digits.data(), end);
  const auto rest = static_cast<unsigned>(thousandths % 1000);
  const char decimals[] = {'.', static_cast<char>('0' + rest / 100),
                           static_cast<char>('0' + rest / 10 % 10),
                           static_cast<char>('0' + rest % 10)};
  to.append(decimals, sizeof decimals);
}

}  // namespace kvcast::origin
