#include "strongroom/drill/population.h"

#include <algorithm>

#include "strongroom/base/check.h"
#include "strongroom/synth/synth.h"

namespace strongroom::drill {
namespace {

constexpr size_t kCharacter = 3;  // Bytes of a Chinese character.

// Surnames of two characters; every other has one.
constexpr std::string_view kCompound[] = {"欧阳", "司马", "上官", "诸葛",
                                          "令狐", "皇甫", "尉迟", "慕容"};

std::string_view surname_of(std::string_view name) {
  const bool compound = std::find(std::begin(kCompound), std::end(kCompound),
                                  name.substr(0, 2 * kCharacter)) != std::end(kCompound);
  return name.substr(0, (compound ? 2 : 1) * kCharacter);
}

}  // namespace

const char* attribute_name(Attribute attribute) {
  switch (attribute) {
    case Attribute::kSurname:
      return "surname";
    case Attribute::kRegion:
      return "region";
    case Attribute::kBirthYear:
      return "birth_year";
    case Attribute::kProvince:
      return "province";
  }
  check_failed(__FILE__, __LINE__, "no such attribute");
}

Value Dictionary::number(Attribute attribute, std::string_view value) {
  auto& numbers = numbers_.at(static_cast<size_t>(attribute));
  if (const auto it = numbers.find(value); it != numbers.end()) return it->second;
  const auto next = static_cast<Value>(numbers.size());
  numbers.emplace(value, next);
  return next;
}

size_t Dictionary::size(Attribute attribute) const {
  return numbers_.at(static_cast<size_t>(attribute)).size();
}

std::vector<uint32_t> Dictionary::order(Attribute attribute) const {
  const auto& numbers = numbers_.at(static_cast<size_t>(attribute));
  std::vector<uint32_t> out(numbers.size());
  uint32_t place = 0;
  for (const auto& [text, number] : numbers) out[number] = place++;
  return out;
}

Population::Population(uint64_t people, uint64_t seed) {
  auto generator = synth::make_generator("person", people, seed);
  SR_CHECK(generator.has_value(), "a generator of people");
  columns_ = (*generator)->columns();
  columns_.insert(columns_.end(), {"surname", "region", "birth_year"});
  SR_CHECK(columns_.size() == kColumns, "the columns this code knows");
  people_.reserve(people);
  std::vector<std::string> values;
  while ((*generator)->next(values)) {
    values.emplace_back(surname_of(values[kName]));
    values.push_back(values[kNationalId].substr(0, 6));
    values.push_back(values[kNationalId].substr(6, 4));
    people_.push_back({values});
  }
}

std::vector<Value> Population::attribute(Attribute attribute, Dictionary& dictionary) const {
  std::vector<Value> out;
  out.reserve(people_.size());
  for (const Person& person : people_) {
    out.push_back(dictionary.number(attribute, attribute_of(person, attribute)));
  }
  return out;
}

std::string_view attribute_of(const Person& person, Attribute attribute) {
  switch (attribute) {
    case Attribute::kSurname:
      return person.values[kSurname];
    case Attribute::kRegion:
      return person.values[kRegion];
    case Attribute::kBirthYear:
      return person.values[kBirthYear];
    case Attribute::kProvince:
      return std::string_view(person.values[kRegion]).substr(0, 2);
  }
  check_failed(__FILE__, __LINE__, "no such attribute");
}

}  // namespace strongroom::drill
