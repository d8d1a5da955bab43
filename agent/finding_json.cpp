#include "agent/finding_json.h"

namespace zoneferry {
namespace {

const char* severity_name(Severity severity) {
    switch (severity) {
        case Severity::info: return "info";
        case Severity::warn: return "warn";
        case Severity::block: return "block";
    }
    return "block";
}

}  // namespace

Json finding_json(const Finding& finding) {
    return Json{{"v", 1},
                {"type", "finding"},
                {"code", finding.code},
                {"side", finding.side == Side::source ? "source" : "target"},
                {"severity", severity_name(finding.severity)},
                {"subject", finding.subject},
                {"source", finding.source},
                {"target", finding.target},
                {"message", finding.message},
                {"remedy", finding.remedy}};
}

Json update_step_json(const UpdateStep& step) {
    return Json{{"v", 1},
                {"type", "update"},
                {"action", std::string(update_action_name(step.action))},
                {"package", step.package},
                {"from", step.from},
                {"to", step.to},
                {"why", step.why},
                {"bytes", step.bytes}};
}

Json end_json(int exit_code, const std::string& message, const std::string& remedy) {
    return Json{{"v", 1}, {"type", "end"}, {"exit_code", exit_code}, {"message", message}, {"remedy", remedy}};
}

std::string json_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace zoneferry
