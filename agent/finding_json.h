// A finding as one JSON object: the same for every program that has --format json.
//
//   {"v":1, "type":"finding", code, side, severity, subject, source, target, message, remedy}
//   {"v":1, "type":"update", action, package, from, to, why, bytes}: one step of an update on attach
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/attach/finding.h"
#include "core/packages/update_plan.h"

namespace zoneferry {

using Json = nlohmann::ordered_json;

Json finding_json(const Finding& finding);
Json update_step_json(const UpdateStep& step);
// {"v":1, "type":"end", exit_code, message, remedy}: the last line of every answer.
Json end_json(int exit_code, const std::string& message, const std::string& remedy = {});
// One line; bytes that are no UTF-8 are replaced, never an exception.
std::string json_line(const Json& json);

}  // namespace zoneferry
