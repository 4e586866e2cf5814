// Invented people as the drills need them: rows to import, and the attributes that an attack tries
// to recover, as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "strongroom/drill/frequency.h"

namespace strongroom::drill {

enum class Attribute : uint8_t {
  kSurname = 0,
  kRegion = 1,     // County that gave the ID number out: its first six digits.
  kBirthYear = 2,  //
  kProvince = 3,   // The first two of them.
};
inline constexpr size_t kAttributes = 4;
const char* attribute_name(Attribute attribute);

// Numbers for values, shared by all populations of a drill. Not thread-safe.
class Dictionary {
 public:
  Value number(Attribute attribute, std::string_view value);
  size_t size(Attribute attribute) const;
  // Each value's place in the order of the values' texts.
  std::vector<uint32_t> order(Attribute attribute) const;

 private:
  std::array<std::map<std::string, Value, std::less<>>, kAttributes> numbers_;
};

struct Person {
  // The columns of `generate person`, and behind them attributes in columns of their own.
  std::vector<std::string> values;
};
inline constexpr size_t kName = 0;
inline constexpr size_t kNationalId = 1;
inline constexpr size_t kPhone = 2;
inline constexpr size_t kDob = 3;
inline constexpr size_t kAddress = 4;
inline constexpr size_t kSurname = 5;
inline constexpr size_t kRegion = 6;
inline constexpr size_t kBirthYear = 7;
inline constexpr size_t kColumns = 8;

class Population {
 public:
  Population(uint64_t people, uint64_t seed);
  // Names of the columns.
  const std::vector<std::string>& columns() const { return columns_; }
  std::vector<Person>& people() { return people_; }
  const std::vector<Person>& people() const { return people_; }
  // One for each person, in order.
  std::vector<Value> attribute(Attribute attribute, Dictionary& dictionary) const;

 private:
  std::vector<std::string> columns_;
  std::vector<Person> people_;
};

std::string_view attribute_of(const Person& person, Attribute attribute);

}  // namespace strongroom::drill
