// Invented people: the i-th person of a seed, made from (seed, i) alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "strongroom/synth/random.h"

namespace strongroom::synth {

struct Person {
  std::string name;
  std::string national_id;  // GB 11643, 18 characters.
  std::string phone;        // 11 digits.
  std::string dob;          // YYYY-MM-DD, as in national_id.
  std::string address;
};

// National ids and phone numbers do not repeat among the first kPeopleMax people of a seed: both
// are permutations of slots that carry the skew (a division or year with more people owns more
// slots). Immutable, so thread-safe.
class People {
 public:
  static constexpr uint64_t kPeopleMax = 1'000'000'000;

  explicit People(uint64_t seed);
  // The i-th person, into `out`, whose strings are reused. i < kPeopleMax.
  void make(uint64_t i, Person& out) const;

 private:
  struct Slots {
    uint64_t first;  // Of this division.
    uint64_t years;  // Index of its first entry in year_ends_.
  };

  void make_national_id(uint64_t i, Person& out, size_t* division) const;

  uint64_t seed_;
  std::vector<Slots> slots_;  // By division.
  std::vector<uint32_t>
      year_ends_;  // By division and year: where its slots end, counted from the division's first.
  std::vector<Permutation> permutations_;  // Of id slots, of phone numbers.
};

// The check digit of GB 11643 over the first 17 digits.
char national_id_check_digit(const char* digits17);

// Appends a street, estate and flat.
void append_street_address(Rng& rng, std::string& out);
// Appends `value` in decimal, zero-padded to `width`.
void append_number(std::string& out, uint64_t value, unsigned width = 1);
// Appends the date `days` after 1970-01-01 as YYYY-MM-DD.
struct Date {
  unsigned year;
  unsigned month;
  unsigned day;
};
Date date_from_days(int64_t days_since_1970);
int64_t days_from_date(Date date);
void append_date(std::string& out, Date date);

}  // namespace strongroom::synth
