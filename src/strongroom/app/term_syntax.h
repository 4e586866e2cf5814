// How a term of a search is written on the command line.
//
//   phone=13800138000        the whole value           category!=theft   not this one
//   name=王伟|李娜            any of these              name="A|B"        the quotes take the | for
//   itself phone^138                a prefix dob=1980-01..1989-06-30  a range, ends included;
//   dob=1980.. and dob=..1980 are open at one end;
//                            dob=1980 is the whole year
//   name~"wang xiaoming"     a name in other spellings
//   summary:burglary         words of a text
// Any of them with ! before the sign is what must not match.
#pragma once

#include <string>

#include "strongroom/base/result.h"
#include "strongroom/v1/schema.pb.h"
#include "strongroom/v1/vault.pb.h"

namespace strongroom::app {

//   kInvalidArgument  Not written so. Whether the field is there and indexed so, the gateway says.
Result<v1::Term> parse_term(const std::string& text, const v1::Collection& schema);

}  // namespace strongroom::app
