#include "strongroom/synth/synth.h"

#include "strongroom/synth/incident.h"
#include "strongroom/synth/parcel.h"
#include "strongroom/synth/person.h"

namespace strongroom::synth {
namespace {

using Columns = std::vector<std::string>;

// What the three have in common: counting, and the people they are or name.
class PeopleGenerator : public Generator {
 public:
  PeopleGenerator(Columns columns, uint64_t count, uint64_t seed)
      : people_(seed), seed_(seed), columns_(std::move(columns)), count_(count) {}
  const Columns& columns() const override { return columns_; }
  bool next(std::vector<std::string>& values) final {
    if (row_ == count_) return false;
    values.resize(columns_.size());
    fill(row_++, values);
    return true;
  }

 protected:
  virtual void fill(uint64_t row, std::vector<std::string>& values) = 0;
  const People people_;
  const uint64_t seed_;

 private:
  Columns columns_;
  uint64_t count_;
  uint64_t row_ = 0;
};

class PersonGenerator final : public PeopleGenerator {
 public:
  PersonGenerator(uint64_t count, uint64_t seed)
      : PeopleGenerator({"name", "national_id", "phone", "dob", "address"}, count, seed) {}

 private:
  void fill(uint64_t row, std::vector<std::string>& values) override {
    people_.make(row, person_);
    values[0] = person_.name;
    values[1] = person_.national_id;
    values[2] = person_.phone;
    values[3] = person_.dob;
    values[4] = person_.address;
  }
  Person person_;
};

class IncidentGenerator final : public PeopleGenerator {
 public:
  IncidentGenerator(uint64_t count, uint64_t seed)
      : PeopleGenerator(
            {"report_no", "date", "place", "category", "summary", "reporter_id", "reporter_phone"},
            count, seed) {}

 private:
  void fill(uint64_t row, std::vector<std::string>& values) override {
    make_incident(people_, seed_, row, incident_);
    values[0] = incident_.report_no;
    values[1] = incident_.date;
    values[2] = incident_.place;
    values[3] = incident_.category;
    values[4] = incident_.summary;
    values[5] = incident_.reporter.national_id;
    values[6] = incident_.reporter.phone;
  }
  Incident incident_;
};

class ParcelGenerator final : public PeopleGenerator {
 public:
  ParcelGenerator(uint64_t count, uint64_t seed)
      : PeopleGenerator({"tracking_no", "sent", "sender_name", "sender_phone", "recipient_name",
                         "recipient_phone", "address", "content"},
                        count, seed),
        parcels_(people_, seed) {}

 private:
  void fill(uint64_t row, std::vector<std::string>& values) override {
    parcels_.make(row, parcel_);
    values[0] = parcel_.tracking_no;
    values[1] = parcel_.sent;
    values[2] = parcel_.sender.name;
    values[3] = parcel_.sender.phone;
    values[4] = parcel_.recipient.name;
    values[5] = parcel_.recipient.phone;
    values[6] = parcel_.recipient.address;
    values[7] = parcel_.content;
  }
  Parcels parcels_;
  Parcel parcel_;
};

}  // namespace

Result<std::unique_ptr<Generator>> make_generator(std::string_view collection_name, uint64_t count,
                                                  uint64_t seed) {
  if (count > People::kPeopleMax) {
    return make_error(ErrorCode::kInvalidArgument, "at most 1,000,000,000 rows can be generated");
  }
  std::unique_ptr<Generator> generator;
  if (collection_name == "person") {
    generator = std::make_unique<PersonGenerator>(count, seed);
  } else if (collection_name == "incident") {
    generator = std::make_unique<IncidentGenerator>(count, seed);
  } else if (collection_name == "parcel") {
    generator = std::make_unique<ParcelGenerator>(count, seed);
  } else {
    return make_error(
        ErrorCode::kInvalidArgument,
        "there is no generator for this collection; there are person, incident and parcel");
  }
  return generator;
}

}  // namespace strongroom::synth
