// `strongroom canary`: planting records that nobody has a reason to open, and testing that a hit is
// noticed. This process forgets which they are when it ends; the key server alone knows then.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <memory>
#include <set>

#include "strongroom/app/client.h"
#include "strongroom/app/import.h"
#include "strongroom/crypto/random.h"
#include "strongroom/intake/csv_reader.h"
#include "strongroom/synth/synth.h"
#include "strongroom/synth/writer.h"

namespace strongroom::app {
namespace {

constexpr uint64_t kCountMax = 4096;

struct CanaryOptions {
  ImportJob job;
  std::string into;
  uint64_t count = 10;
};

uint64_t random_below(uint64_t n) {
  uint64_t value = 0;
  crypto::random_bytes({reinterpret_cast<uint8_t*>(&value), sizeof value});
  return static_cast<uint64_t>((static_cast<unsigned __int128>(value) * n) >> 64);
}

// So many of `rows` places, each as likely as any other, ascending from 1.
std::set<uint64_t> choose_places(uint64_t count, uint64_t rows) {
  std::set<uint64_t> out;
  while (out.size() < count) out.insert(1 + random_below(rows));
  return out;
}

// Canaries at their places among the rows of a file, as CSV.
class Mixture {
 public:
  Mixture(std::unique_ptr<intake::RowReader> rows, const std::vector<std::string>& columns,
          std::unique_ptr<synth::Generator> made, std::set<uint64_t> places)
      : rows_(std::move(rows)), made_(std::move(made)), places_(std::move(places)) {
    for (const auto& column : columns) {
      const auto& from = made_->columns();
      made_at_.push_back(
          static_cast<size_t>(std::find(from.begin(), from.end(), column) - from.begin()));
    }
    synth::append_csv(columns, text_);
  }

  Result<size_t> pull(MutableBytes out) {
    while (text_.size() - at_ < out.size()) {
      SR_ASSIGN(const bool more, next());
      if (!more) break;
    }
    const size_t size = std::min(out.size(), text_.size() - at_);
    memcpy(out.data(), text_.data() + at_, size);
    at_ += size;
    if (at_ > kKept) {
      text_.erase(0, at_);
      at_ = 0;
    }
    return size;
  }

 private:
  static constexpr size_t kKept = size_t{1} << 16;
  Result<bool> next() {
    ++row_;
    if (places_.contains(row_)) {
      if (!made_->next(made_values_)) return false;
      values_.clear();
      for (const size_t at : made_at_) values_.push_back(made_values_[at]);
      synth::append_csv(values_, text_);
      return true;
    }
    if (rows_ == nullptr) return false;
    intake::Row row;
    do {
      SR_ASSIGN(const auto status, rows_->next(row));
      if (status == intake::ReadStatus::kEnd) return false;
    } while (row.reject_reason);
    values_.assign(row.values.begin(), row.values.end());
    synth::append_csv(values_, text_);
    return true;
  }

  std::unique_ptr<intake::RowReader> rows_;
  std::unique_ptr<synth::Generator> made_;
  std::set<uint64_t> places_;
  std::vector<size_t> made_at_;  // For each column, where the generator has it.
  std::vector<std::string> made_values_, values_;
  std::string text_;
  size_t at_ = 0;
  uint64_t row_ = 0;
};

struct Counted {
  uint64_t rows = 0, rejected = 0;
};
Result<Counted> count_rows(intake::RowReader& reader) {
  Counted out;
  intake::Row row;
  for (;;) {
    SR_ASSIGN(const auto status, reader.next(row));
    if (status == intake::ReadStatus::kEnd) return out;
    ++(row.reject_reason ? out.rejected : out.rows);
  }
}

class Planting {
 public:
  Planting(const Global& global, const CanaryOptions& options)
      : global_(global), options_(options) {}
  Result<void> run();
  const std::string& about() const { return about_; }

 private:
  Result<std::unique_ptr<intake::ByteSource>> mix(const v1::Collection& schema);
  void report(const v1::PlantCanariesResponse& response) const;

  const Global& global_;
  const CanaryOptions& options_;
  std::string about_;
  std::set<uint64_t> places_;
  std::vector<uint64_t> records_;
  uint64_t imported_ = 0;
  Counted file_;
};

Result<std::unique_ptr<intake::ByteSource>> Planting::mix(const v1::Collection& schema) {
  SR_ASSIGN(auto made,
            synth::make_generator(schema.name(), options_.count, random_below(UINT64_MAX)));
  std::unique_ptr<intake::RowReader> rows;
  std::vector<std::string> columns = made->columns();
  if (!options_.into.empty()) {
    ImportJob job;
    job.file = options_.into;
    job.format = options_.job.format;
    job.encoding = options_.job.encoding;
    SR_ASSIGN(rows, open_rows(job, schema));
    columns = rows->columns();
    for (const auto& column : columns) {
      if (std::find(made->columns().begin(), made->columns().end(), column) ==
          made->columns().end()) {
        about_ = column;
        return make_error(ErrorCode::kInvalidArgument,
                          "no values can be made for this column, and a canary without one could "
                          "be told from the others. Nothing was imported");
      }
    }
    SR_ASSIGN(file_, count_rows(*rows));
    SR_ASSIGN(rows, open_rows(job, schema));
  }
  places_ = choose_places(options_.count, file_.rows + options_.count);
  auto mixture =
      std::make_shared<Mixture>(std::move(rows), std::move(columns), std::move(made), places_);
  return intake::ByteSource::from_pull([mixture](MutableBytes out) { return mixture->pull(out); });
}

Result<void> Planting::run() {
  SR_ASSIGN(const auto credential, load_credential(global_.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const v1::Collection schema, admin->collection(options_.job.collection));
  ImportJob job = options_.job;
  job.file = options_.into.empty() ? "canaries" : options_.into;
  job.format = "csv";
  job.encoding = "utf-8";
  job.salt = fresh_id();
  job.report = false;
  job.source = [this](const v1::Collection& collection) { return mix(collection); };
  job.on_place = [this](uint64_t row, uint64_t record) {
    ++imported_;
    if (places_.contains(row)) records_.push_back(record);
  };
  std::string about;
  const auto imported = run_import(global_, job, &about);
  if (about_.empty()) about_ = about;
  if (!imported) return imported.error();
  about_.clear();
  if (records_.empty()) {
    return make_error(ErrorCode::kFailedPrecondition,
                      "none of the canaries was taken in; the rejects file says why");
  }
  v1::PlantCanariesRequest request;
  request.set_collection(schema.id());
  request.mutable_records()->Add(records_.begin(), records_.end());
  const auto response =
      admin->call<v1::PlantCanariesRequest, v1::PlantCanariesResponse>("PlantCanaries", request);
  if (!response) {
    std::cerr << format_count(records_.size())
              << " invented records were imported, and are no canaries; plant others\n";
    return response.error();
  }
  report(*response);
  return {};
}

// Random reads until the first is noticed with this probability: 1 - (1 - c/N)^k.
double reads_until(double probability, uint64_t canaries, uint64_t records) {
  if (canaries == 0 || records <= canaries) return 1;
  return std::ceil(std::log1p(-probability) /
                   std::log1p(-static_cast<double>(canaries) / static_cast<double>(records)));
}

void Planting::report(const v1::PlantCanariesResponse& response) const {
  const double half = reads_until(0.5, response.canaries(), response.records());
  const double nearly = reads_until(0.95, response.canaries(), response.records());
  if (global_.json) {
    std::printf(
        "{\"planted\":%zu,\"imported\":%llu,\"rejected\":%llu,\"canaries\":%llu,\"records\":%llu,"
        "\"leaf\":%llu,\"reads_noticed_half\":%.0f,\"reads_noticed_95\":%.0f}\n",
        records_.size(), static_cast<unsigned long long>(imported_ - records_.size()),
        static_cast<unsigned long long>(file_.rejected),
        static_cast<unsigned long long>(response.canaries()),
        static_cast<unsigned long long>(response.records()),
        static_cast<unsigned long long>(response.leaf()), half, nearly);
    return;
  }
  std::cout << format_count(records_.size()) << " canaries planted";
  if (!options_.into.empty()) {
    std::cout << " among " << format_count(imported_ - records_.size()) << " rows that were new";
  }
  std::cout << ", logged as entry " << response.leaf() << "; " << format_count(response.canaries())
            << " among " << format_count(response.records()) << " records now\n"
            << "somebody who opens records at random hits one within "
            << format_count(static_cast<uint64_t>(half)) << " in half of all cases, within "
            << format_count(static_cast<uint64_t>(nearly)) << " in 95 of 100\n";
  if (file_.rejected > 0) {
    std::cerr << format_count(file_.rejected)
              << " rows of the file cannot be read and were left out; `import` names them\n";
  }
}

Result<void> test(const Global& global, bool& alive) {
  SR_ASSIGN(const auto credential, load_credential(global.credential));
  SR_ASSIGN(auto admin, AdminClient::connect(credential));
  SR_ASSIGN(const auto response,
            (admin->call<v1::TestCanariesRequest, v1::TestCanariesResponse>("TestCanaries", {})));
  alive = std::any_of(response.collections().begin(), response.collections().end(),
                      [](const auto& tested) { return tested.leaf() != 0; });
  if (global.json) {
    std::cout << to_json(response) << "\n";
    return {};
  }
  for (const auto& tested : response.collections()) {
    if (tested.canaries() == 0) {
      std::cout << tested.name() << ": no canaries\n";
      continue;
    }
    std::cout << tested.name() << ": " << format_count(tested.alive()) << " of "
              << format_count(tested.canaries()) << " canaries alive among "
              << format_count(tested.records()) << " records; "
              << (tested.leaf() == 0
                      ? std::string("a hit would NOT be noticed")
                      : "a test alarm went the whole way, entry " + std::to_string(tested.leaf()))
              << "\n";
  }
  return {};
}

}  // namespace

void add_canary(CLI::App& app, Global& global, int& status) {
  auto* command = app.add_subcommand("canary", "Records that give a thief away");
  command->require_subcommand(1);
  command->footer(
      "Example:\n  strongroom canary plant person --count 20 --into people.csv --credential "
      "operator.json");
  auto options = std::make_shared<CanaryOptions>();
  auto* plant = command->add_subcommand(
      "plant",
      "Import invented records, at random places, and have the key server alone know them");
  plant->add_option("COLLECTION", options->job.collection, "Such as person")->required();
  plant->add_option("--count", options->count, "How many (10)")
      ->check(CLI::Range(uint64_t{1}, kCountMax));
  plant->add_option("--into", options->into,
                    "An ordinary file to import them with: then no order gives them away");
  plant->add_option("--format", options->job.format, "Of the file: csv or ndjson")
      ->check(CLI::IsMember({"csv", "ndjson"}));
  plant->add_option("--encoding", options->job.encoding, "Of the file, as for import (auto)");
  plant->add_option("--key", options->job.key, "As for import");
  plant->add_option("--rejects", options->job.rejects, "As for import");
  plant->add_option("--purpose", options->job.purpose, "As for import (import)");
  plant->footer(
      "A hit raises an alarm and, as the policy's watch section says, freezes whoever opened it.\n"
      "Examples:\n  strongroom canary plant person --count 20 --into people.csv --key national_id\n"
      "  strongroom canary plant parcel --count 5");
  plant->callback([&global, &status, options] {
    Planting planting(global, *options);
    if (const auto done = planting.run(); !done) {
      status = fail(global, done.error(), planting.about());
    }
  });
  auto* test_command =
      command->add_subcommand("test", "Whether a hit would be noticed; nobody is cut off");
  test_command->footer("Example:\n  strongroom canary test --credential auditor.json");
  test_command->callback([&global, &status] {
    bool alive = false;
    if (const auto done = test(global, alive); !done) {
      status = fail(global, done.error());
    } else if (!alive) {
      status = kFailed;
    }
  });
}

}  // namespace strongroom::app
