#include "strongroom/synth/writer.h"

#include <gtest/gtest.h>

namespace strongroom::synth {
namespace {

TEST(WriterTest, CsvQuotesOnlyWhatMustBeQuoted) {
  std::string out;
  append_csv({"a", "", "b,c", "d\"e", "f\ng", "h\r", " i "}, out);
  EXPECT_EQ(out, "a,,\"b,c\",\"d\"\"e\",\"f\ng\",\"h\r\", i \n");
}

TEST(WriterTest, CsvLoneEmptyFieldIsNotABlankLine) {
  std::string out;
  append_csv({""}, out);
  EXPECT_EQ(out, "\"\"\n");
}

TEST(WriterTest, NdjsonEscapesAndLeavesEmptyValuesOut) {
  const NdjsonWriter writer({"a", "b\"", "c"});
  std::string out;
  writer.append({"", "x\"\\\n\x01", "王"}, out);
  writer.append({"1", "", ""}, out);
  EXPECT_EQ(out, "{\"b\\\"\":\"x\\\"\\\\\\u000a\\u0001\",\"c\":\"王\"}\n{\"a\":\"1\"}\n");
}

}  // namespace
}  // namespace strongroom::synth
