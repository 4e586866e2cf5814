// A subject report for people to read: a page by itself, and a table for a terminal.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "strongroom/v1/subject.pb.h"

namespace strongroom::app {

// One HTML file that loads nothing and runs nothing, for the screen and for paper. It holds the
// report as JSON too, so that it can be checked; the same report always makes the same page.
std::string subject_page(const v1::SubjectReport& report);
// The JSON in such a page, or nothing.
std::optional<std::string_view> report_in_page(std::string_view page);
void print_subject_report(const v1::SubjectReport& report);

}  // namespace strongroom::app
