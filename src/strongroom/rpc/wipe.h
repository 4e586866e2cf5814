// Zeroes serialized messages and the secret fields of messages once they have been used.
#pragma once

#include <string>

namespace strongroom::v1 {
class Reply;
class ReplyBatch;
}  // namespace strongroom::v1

namespace strongroom::rpc {

void wipe(std::string& bytes);  // Zeroes and empties; the capacity stays.
// Makes room for `more` further bytes. Unlike std::string's own growth it leaves no copy behind in
// freed memory.
void grow(std::string& bytes, size_t more);
// The keys, tokens, secrets and roots: zeroed and emptied. Other fields stay.
void wipe(v1::Reply& reply);
void wipe(v1::ReplyBatch& batch);

}  // namespace strongroom::rpc
