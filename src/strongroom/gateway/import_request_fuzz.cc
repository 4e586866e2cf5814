// What a client may send to import and to write single records: n x (kind u8 | length u16be |
// message), kinds begin, batch, finish, put, update. "@@" where a ticket is expected stands for a
// genuine one, '@' where an import id is for that of the last import begun, '#' where a source id
// is for 32 bytes of it, '@' where a record's id is for that of the last one put.
#include "test/support/gateway_vault.h"

using namespace strongroom;
using namespace strongroom::test;

namespace {

// What stays behind from input to input is what a client would leave behind too. Not for long:
// until lanes are merged, each version of a record makes a search dearer.
constexpr int kInputsPerVault = 50;
struct World {
  GatewayVault vault;
  v1::SignedTicket importer = vault.importer();
  v1::SignedTicket clerk = vault.clerk();
  int inputs = 0;
};
std::unique_ptr<World> world;
GatewayVault& vault() {
  return world->vault;
}

template <class Request>
bool read(Bytes bytes, Request& request) {
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  const std::string& ticket = request.ticket().ticket();
  if (ticket.starts_with("@@")) {
    *request.mutable_ticket() = ticket.size() % 2 == 0 ? world->importer : world->clerk;
  }
  return true;
}

void check(const Result<v1::ImportState>& state, std::string& import_id) {
  if (!state) return;
  for (const auto& row : state->rejects()) SR_CHECK(!row.reason().empty(), "a reason");
  if (!state->import_id().empty()) import_id = state->import_id();
}

}  // namespace

// A vault keeps what it is given, which libFuzzer takes for a leak and then looks for one after
// every input.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "detect_leaks=0";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (world == nullptr || ++world->inputs > kInputsPerVault) world = std::make_unique<World>();
  std::string import_id, record_id;
  ByteReader in({data, size});
  for (int messages = 0; in.remaining() >= 3 && messages < 16; ++messages) {
    const uint64_t kind = in.be(1);
    const Bytes bytes = in.take(std::min<size_t>(in.be(2), in.remaining()));
    if (kind % 5 == 0) {
      v1::BeginImportRequest request;
      if (!read(bytes, request)) continue;
      if (request.source_id().starts_with("#")) {
        std::string id = request.source_id();
        id.resize(32);
        request.set_source_id(id);
      }
      check(vault().begin(request), import_id);
    } else if (kind % 5 == 1) {
      v1::ImportBatchRequest request;
      if (!read(bytes, request)) continue;
      if (request.import_id() == "@") request.set_import_id(import_id);
      check(vault().batch(request), import_id);
    } else if (kind % 5 == 3) {
      v1::PutRequest request;
      if (!read(bytes, request)) continue;
      const auto put = vault().loop().wait<v1::PutResponse>(
          [&](auto done) { vault().gateway().put(request, done); });
      SR_CHECK(!put || put->rejects().empty() != put->ids().empty(), "all, or none");
      if (put && !put->ids().empty()) record_id = put->ids(0);
    } else if (kind % 5 == 4) {
      v1::UpdateRequest request;
      if (!read(bytes, request)) continue;
      if (request.id() == "@") request.set_id(record_id);
      const auto updated = vault().loop().wait<v1::UpdateResponse>(
          [&](auto done) { vault().gateway().update(request, done); });
      SR_CHECK(!updated || updated->rejects().empty() || !updated->changed(), "all, or nothing");
    } else {
      v1::FinishImportRequest request;
      if (!read(bytes, request)) continue;
      if (request.import_id() == "@") request.set_import_id(import_id);
      check(vault().loop().wait<v1::ImportState>(
                [&](auto done) { vault().gateway().finish_import(request, done); }),
            import_id);
    }
  }
  // Whatever came, what is there is sound.
  auto request = vault().find_request({{"city", "Wuhan"}}, 20);
  *request.mutable_ticket() = world->clerk;
  const auto found = vault().find(request);
  SR_CHECK(found || found.error().code == ErrorCode::kTooBroad, "every record opens");
  return 0;
}
