// A finding as one JSON object: the same for every program that has --format json.
//
//   {"v":1, "type":"finding", code, side, severity, subject, source, target, message, remedy}
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/attach/finding.h"

namespace zoneferry {

using Json = nlohmann::ordered_json;

Json finding_json(const Finding& finding);
// {"v":1, "type":"end", exit_code, message, remedy}: the last line of every answer.
Json end_json(int exit_code, const std::string& message, const std::string& remedy = {});
// One line; bytes that are no UTF-8 are replaced, never an exception.
std::string json_line(const Json& json);

}  // namespace zoneferry
