#include "strongroom/app/subject_view.h"

#include <iostream>

#include "strongroom/app/cli.h"
#include "strongroom/base/bytes.h"
#include "strongroom/crypto/hash.h"
#include "strongroom/gateway/request.h"
#include "strongroom/keyserver/report_check.h"

namespace strongroom::app {
namespace {

constexpr char kSearches[] =
    "A search that opened no record is not in this report: what was searched is kept as a "
    "pseudonym "
    "that belongs to no person, so it cannot be told for one.";
constexpr std::string_view kJsonBegin = "<script type=\"application/json\" id=\"report\">";
constexpr std::string_view kJsonEnd = "</script>";

// Fonts that every system has for the scripts of these registers; white paper whatever the screen.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, "Noto Sans", "Segoe UI", "PingFang SC", "PingFang TC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #8886; overflow-wrap: anywhere; }
td.n { white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; }
.note { border-left: 3px solid #8888; padding-left: .8rem; }
@page { size: A4; margin: 18mm; }
@media print { :root { color-scheme: light; } body { margin: 0; max-width: none; font-size: 10pt; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; } }
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string who_text(const v1::ReportLine& line) {
  if (line.shown_as().empty()) return "not recorded";
  return line.shown_as() == "person" ? line.who() : line.who() + " (" + line.shown_as() + ")";
}

std::string purpose_text(const v1::ReportLine& line) {
  std::string out = line.purpose_title().empty() ? line.purpose() : line.purpose_title();
  if (!line.case_reference().empty()) out += ", " + line.case_reference();
  return out.empty() ? "not recorded" : out;
}

std::string groups_text(const v1::ReportLine& line) {
  std::string out;
  for (const auto& group : line.groups()) out += (out.empty() ? "" : ", ") + group;
  return out.empty() ? "not recorded" : out;
}

// What is not in the table, in whole sentences.
std::vector<std::string> missing(const v1::ReportedRecord& record) {
  std::vector<std::string> out;
  if (record.releases() == 0) out.push_back("Nobody has opened this record.");
  if (record.hidden() > 0) {
    out.push_back(
        format_count(record.hidden()) + (record.hidden() == 1 ? " opening is" : " openings are") +
        " not told yet, for a purpose under an embargo today. How many stands in the log.");
  }
  if (record.older() > 0) {
    out.push_back(format_count(record.older()) + " older " +
                  (record.older() == 1 ? "opening is" : "openings are") +
                  " counted but not listed: there are more than one report holds, or they are from "
                  "before openings were recorded in a form that can be listed.");
  }
  return out;
}

std::string heading(const v1::ReportedRecord& record) {
  return record.collection() + " " + gateway::record_id(RecordIndex{record.idx()}) + ": opened " +
         format_count(record.releases()) + (record.releases() == 1 ? " time" : " times");
}

}  // namespace

std::string subject_page(const v1::SubjectReport& report) {
  const std::string style(kStyle);
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'sha256-" +
      to_base64(crypto::sha256(as_bytes(style))) +
      "'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<title>Who opened your records</title>\n<style>" +
      style + "</style>\n</head>\n<body>\n<h1>Who opened your records</h1>\n<p>As of " +
      format_time(report.t_ms()) + ", from the log " + escaped(report.origin()) +
      ". Times are UTC.</p>\n";
  for (const auto& record : report.records()) {
    out += "<h2>" + escaped(heading(record)) + "</h2>\n";
    if (!record.lines().empty()) {
      out +=
          "<table>\n<thead><tr><th>When</th><th>Who</th><th>Why</th><th>What</th><th>No.</th>"
          "<th>Log entry</th></tr></thead>\n<tbody>\n";
      for (const auto& line : record.lines()) {
        out += "<tr><td class=\"n\">" + format_time(line.t_ms()) + "</td><td>" +
               escaped(who_text(line)) + "</td><td>" + escaped(purpose_text(line)) + "</td><td>" +
               escaped(groups_text(line)) + "</td><td class=\"n\">" + format_count(line.k() + 1) +
               "</td><td class=\"n\">" + format_count(line.proof().leaf()) + "</td></tr>\n";
      }
      out += "</tbody>\n</table>\n";
    }
    for (const std::string& text : missing(record)) {
      out += "<p class=\"note\">" + escaped(text) + "</p>\n";
    }
  }
  out += "<p class=\"note\">" + escaped(kSearches) +
         "</p>\n<h2>How to check this</h2>\n<p>Openings of a record are numbered without gaps; a "
         "number that is missing above is one that is not told. This page holds the proof of every "
         "line. With the log's verifier key, which its operator publishes, "
         "<code>strongroom subject check FILE --log KEY</code> checks them, needs no network, and "
         "says whether this page was changed. The checkpoint they lead to:</p>\n<pre>" +
         escaped(report.checkpoint().substr(0, report.checkpoint().find('\n')));
  // printable() would take the newlines.
  for (size_t at = report.checkpoint().find('\n'); at != std::string::npos;) {
    const size_t end = report.checkpoint().find('\n', at + 1);
    out += "\n" + escaped(std::string_view(report.checkpoint()).substr(at + 1, end - at - 1));
    at = end;
  }
  out += "</pre>\n";
  out += kJsonBegin;
  for (const char c : keyserver::format_subject_report(report)) {
    if (c == '<') {
      out += "\\u003c";  // In strings alone, where it means the same.
    } else {
      out += c;
    }
  }
  out += kJsonEnd;
  return out + "\n</body>\n</html>\n";
}

std::optional<std::string_view> report_in_page(std::string_view page) {
  const size_t begin = page.find(kJsonBegin);
  if (begin == std::string_view::npos) return std::nullopt;
  page.remove_prefix(begin + kJsonBegin.size());
  const size_t end = page.find(kJsonEnd);
  if (end == std::string_view::npos) return std::nullopt;
  return page.substr(0, end);
}

void print_subject_report(const v1::SubjectReport& report) {
  for (const auto& record : report.records()) {
    std::cout << heading(record) << "\n";
    if (!record.lines().empty()) {
      std::vector<std::vector<std::string>> rows{{"WHEN", "WHO", "WHY", "WHAT", "NO.", "ENTRY"}};
      for (const auto& line : record.lines()) {
        rows.push_back({format_time(line.t_ms()), printable(who_text(line)),
                        printable(purpose_text(line)), printable(groups_text(line)),
                        format_count(line.k() + 1), std::to_string(line.proof().leaf())});
      }
      print_table(rows);
    }
    for (const std::string& text : missing(record)) std::cout << text << "\n";
  }
  std::cout << kSearches << "\n";
}

}  // namespace strongroom::app
