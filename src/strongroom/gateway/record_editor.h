// Single records, written by an application or a clerk: new ones, and changes of one.
//
// A change opens the whole record first, logged and metered as any opening, since all its groups
// are sealed anew under the new version. What several rows of an import do in one chunk, one call
// does here in the same order: postings and unique rows, then the record's row, which is the commit
// point.
//
// To forget the old values the record gets a new number, and the old one is erased: the new one is
// durable first. A crash between the two leaves both, and the caller, who has no answer, finds the
// new one by its values.
#pragma once

#include "strongroom/gateway/import_session.h"

namespace strongroom::gateway {

inline constexpr size_t kPutRecordsMax = 100;

// On the thread of the imports, which makes two changes of one record follow one another. Blocks on
// store and key server.
class RecordEditor {
 public:
  // The catalog's revision that `collection` is of.
  RecordEditor(ImportShared& shared, std::shared_ptr<const Collection> collection,
               const TermKey& term_key, uint64_t revision);

  // All, or none.
  //   kInvalidArgument  None, or too many.
  //   kAlreadyExists    A unique value is another record's; `number` is the place of the row.
  //   kUnavailable      The collection was changed meanwhile: nothing was written, ask again.
  //   and whatever the key server refuses with.
  Result<v1::PutResponse> put(const v1::PutRequest& request);
  //   kNotFound         No such record. As put() besides.
  Result<v1::UpdateResponse> update(const v1::UpdateRequest& request);

 private:
  using Fields = google::protobuf::Map<std::string, std::string>;
  // The values as one row; false: `rejects` says why not.
  bool build(const std::vector<std::string>& values, uint64_t number, PreparedRow& row,
             google::protobuf::RepeatedPtrField<v1::RejectedRow>& rejects);
  bool place(const Fields& fields, uint64_t number, std::vector<std::string>& values,
             google::protobuf::RepeatedPtrField<v1::RejectedRow>& rejects) const;
  // That nobody but `own` holds a unique value of these rows.
  Result<void> check_unique(const v1::SignedTicket& ticket, std::span<PreparedRow> rows,
                            std::optional<RecordIndex> own);
  // The record's values, and where the log proves that they were opened.
  Result<uint64_t> open(const v1::UpdateRequest& request, const std::string& row,
                        RecordVersion version, std::vector<std::string>& values);
  Result<void> write(const v1::SignedTicket& ticket, std::span<const PreparedRow> rows,
                     const WriteGrant& granted, std::optional<Version> superseded, bool update);
  Result<RecordVersion> replace(const v1::UpdateRequest& request, const PreparedRow& row,
                                RecordVersion old);
  Result<v1::EraseResponse> forget(const v1::UpdateRequest& request, RecordIndex old);
  Result<void> check_revision(const WriteGrant& granted) const;

  ImportShared& shared_;
  std::shared_ptr<const Collection> collection_;
  RecordBuilder builder_;
  const uint64_t revision_;
  Columns columns_;              // All fields.
  std::vector<GroupId> groups_;  // All but the masked view.
};

}  // namespace strongroom::gateway
