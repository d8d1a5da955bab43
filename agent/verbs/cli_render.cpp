#include "agent/verbs/cli_render.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/base/text.h"

namespace zoneferry {
namespace {

std::string text_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? printable(found->get<std::string>()) : std::string();
}

std::uint64_t number_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_integer() && found->get<std::int64_t>() > 0
               ? found->get<std::uint64_t>()
               : 0;
}

bool is_true(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_boolean() && found->get<bool>();
}

void print(const std::string& line) {
    std::fputs((line + "\n").c_str(), stdout);
    std::fflush(stdout);
}

// The seed's four sections: which one a package finding belongs to, and its words there.
struct PackageLine {
    std::string section;
    std::string words;
};
PackageLine package_line(const Json& json) {
    const std::string code = text_of(json, "code");
    const std::string kind = code.starts_with("PATCH_") ? "patches" : "packages";
    const std::string source = text_of(json, "source");
    const std::string target = text_of(json, "target");
    const auto in_brackets = [](const std::string& version) { return version.empty() ? "" : " (" + version + ")"; };
    if (code.ends_with("WAS_NOT_INSTALLED")) {
        return {"local host " + kind + " inconsistent with source host", in_brackets(target) + " was not installed"};
    }
    const std::string section = "source host " + kind + " inconsistent with local host";
    if (code.ends_with("NOT_INSTALLED")) return {section, in_brackets(source) + " is not installed"};
    return {section, in_brackets(source) + " version mismatch" + in_brackets(target)};
}

// What an update on attach would do, or what forbids it; their messages tell all. Empty: another finding.
std::string planned_section(const std::string& code) {
    if (code == "PKG_WILL_CHANGE") return "packages of the zone to be brought to the target's level";
    if (code == "PKG_DOWNGRADE" || code == "PATCH_DOWNGRADE")
        return "newer in the zone than on the target, so nothing can be updated";
    return code == "PKG_MANIFEST_DIFFERS" ? "the zone and its manifest disagree; the zone counts" : std::string();
}

}  // namespace

RenderOptions detect_terminal(Format format, bool quiet) {
    RenderOptions options;
    options.format = format;
    options.quiet = quiet;
    const char* terminal = std::getenv("TERM");
    const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
    options.live = format == Format::text && !quiet && ::isatty(STDERR_FILENO) == 1 && !dumb;
    options.colour = options.live && std::getenv("NO_COLOR") == nullptr;
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) options.width = size.ws_col;
    return options;
}

std::string progress_text(const Json& progress, std::size_t width) {
    const std::uint64_t done = number_of(progress, "bytes_done");
    const std::uint64_t total = number_of(progress, "bytes_total");
    std::string text = "pass " + std::to_string(number_of(progress, "pass")) + "  " + format_bytes(done);
    if (total > 0) text += " / " + format_bytes(total) + "  " + std::to_string(done * 100 / total) + "%";
    text += "  " + format_bytes(number_of(progress, "bytes_per_second")) + "/s";
    if (const std::uint64_t wire = number_of(progress, "wire_bytes")) text += "  sent " + format_bytes(wire);
    const auto eta = progress.find("eta_ms");
    if (eta != progress.end() && eta->is_number_integer() && eta->get<std::int64_t>() >= 0) {
        text += "  ETA " + format_duration_ms(eta->get<std::int64_t>());
    }
    if (text.size() >= width) text.resize(width - 1);
    return text;
}

std::string history_text(const Json& line) {
    std::string text = text_of(line, "id") + "  " + text_of(line, "zone") +
                       (text_of(line, "role") == "source" ? " -> " : " <- ") + text_of(line, "peer") + "  " +
                       text_of(line, "phase") + "  " + format_bytes(number_of(line, "raw_bytes")) + " in " +
                       std::to_string(number_of(line, "passes")) + " passes";
    if (line.contains("down_ms")) text += "  down " + std::to_string(number_of(line, "down_ms")) + " ms";
    if (line.contains("last_pass")) text += "  last pass " + text_of(line, "last_pass");
    const auto times = line.find("times_ms");
    if (times != line.end() && times->is_object()) {
        for (const auto& [name, ms] : times->items()) {
            if (ms.is_number_integer()) text += "  " + printable(name) + " " + std::to_string(ms.get<std::int64_t>());
        }
    }
    for (const char* what : {"problem", "looked_back"}) {
        if (const std::string said = text_of(line, what); !said.empty()) text += "  (" + said + ")";
    }
    return text;
}

std::string downtime_text(const Json& end) {
    if (!end.contains("down_ms")) return {};
    std::string text = "down for " + std::to_string(number_of(end, "down_ms")) + " ms:";
    constexpr std::array kParts{
        std::pair{"halt_ms", "halt"},   std::pair{"last_pass_ms", "last pass"}, std::pair{"verify_ms", "verify"},
        std::pair{"stage_ms", "stage"}, std::pair{"attach_ms", "attach"},       std::pair{"boot_ms", "boot"},
        std::pair{"other_ms", "other"},
    };
    for (const auto& [key, name] : kParts) {
        if (end.contains(key)) text += std::string(" ") + name + " " + std::to_string(number_of(end, key));
    }
    return text;
}

void Renderer::clear_live_line() {
    if (std::exchange(live_line_shown_, false)) std::fputs("\r\x1b[K", stderr);
}

void Renderer::talk(const std::string& text) {
    if (options_.quiet) return;
    clear_live_line();
    std::fputs((text + "\n").c_str(), stderr);
}

bool Renderer::show(const std::string& line, std::int64_t now_ms) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) return false;
    const std::string type = text_of(json, "type");
    const bool is_end = type == "end";
    if (is_end) exit_code_ = static_cast<int>(number_of(json, "exit_code"));
    if (type == "started") move_id_ = text_of(json, "move");
    if (options_.format == Format::json) {
        print(line);
    } else if (is_end) {
        show_end(json);
    } else if (type == "finding") {
        show_finding(json);
    } else if (type == "check") {
        show_check(json);
    } else if (type == "move") {
        show_move(json);
    } else if (type == "progress") {
        show_progress(json, now_ms);
    } else if (type == "started") {
        talk("move " + move_id_ + " has begun; closing this changes nothing (zoneferry watch " + move_id_ + ")");
    } else if (type == "phase" || type == "note") {
        talk((options_.colour ? "\x1b[1m" : "") + text_of(json, "phase") + (options_.colour ? "\x1b[0m" : "") + "  " +
             text_of(json, "message"));
        if (!text_of(json, "remedy").empty()) talk("  -> " + text_of(json, "remedy"));
    } else if (type == "event") {
        print("  " + text_of(json, "at") + "  " + (json.contains("side") ? text_of(json, "side") + "  " : "") +
              text_of(json, "kind") + (text_of(json, "text").empty() ? "" : "  " + text_of(json, "text")));
    } else if (type == "peer") {
        print(text_of(json, "host") + "  " + text_of(json, "address") + ":" + std::to_string(number_of(json, "port")) +
              (is_true(json, "may_send") ? "  may send" : "") + (is_true(json, "may_receive") ? "  may receive" : ""));
    } else if (type == "version") {
        print(text_of(json, "host") + "  zoneferry " + text_of(json, "version") +
              (json.contains("protocol") ? "  protocol " + std::to_string(number_of(json, "protocol")) : ""));
    } else if (type == "risk") {
        zone_at_risk_ = text_of(json, "zone");
        talk(text_of(json, "text"));
    } else if (type == "stand") {
        print(text_of(json, "message"));
        if (!text_of(json, "remedy").empty()) talk("  -> " + text_of(json, "remedy"));
    } else {
        show_look(type, json);
    }
    return is_end;
}

void Renderer::show_look(const std::string& type, const Json& json) {
    if (type == "text") {
        print(text_of(json, "text"));
    } else if (type == "history") {
        print(history_text(json));
    } else if (type == "decision") {
        print(text_of(json, "at") + "  " + text_of(json, "zone") + "  " + text_of(json, "text"));
    } else if (type == "leftover") {
        const char* verdict = is_true(json, "removed") ? "removed" : is_true(json, "may_go") ? "may go" : "kept";
        print(std::string(verdict) + "  " + text_of(json, "what") + "  " + text_of(json, "move") + "  " +
              text_of(json, "path") + "  (" + text_of(json, "why") + ")");
    }
}

void Renderer::show_end(const Json& json) {
    clear_live_line();
    const std::string message = text_of(json, "message");
    if (exit_code_ != 0) {
        std::fputs(("zoneferry: " + message + "\n").c_str(), stderr);
        if (const std::string remedy = text_of(json, "remedy"); !remedy.empty()) {
            std::fputs(("  -> " + remedy + "\n").c_str(), stderr);
        }
    } else if (!options_.quiet) {
        if (!message.empty()) print(message);
        if (json.contains("wire_bytes")) {
            const std::uint64_t passes = number_of(json, "passes");
            print("sent " + format_bytes(number_of(json, "raw_bytes")) + " as " +
                  format_bytes(number_of(json, "wire_bytes")) + " in " + std::to_string(passes) +
                  (passes == 1 ? " pass" : " passes"));
        }
        if (json.contains("down_ms")) print(downtime_text(json));
        if (const std::string remedy = text_of(json, "remedy"); !remedy.empty()) talk("  -> " + remedy);
    }
}

void Renderer::show_finding(const Json& json) {
    const std::string code = text_of(json, "code");
    const std::string planned = planned_section(code);
    if (!planned.empty() || code.starts_with("PKG_") || code.starts_with("PATCH_")) {
        const PackageLine line = planned.empty() ? package_line(json) : PackageLine{planned, text_of(json, "message")};
        if (line.section != package_section_) print(line.section);
        package_section_ = line.section;
        print("    " + (planned.empty() ? text_of(json, "subject") : std::string()) + line.words);
        return;
    }
    package_section_.clear();
    print(text_of(json, "severity") + "  " + text_of(json, "side") + "  " + code + "  " + text_of(json, "message"));
    if (const std::string remedy = text_of(json, "remedy"); !remedy.empty()) print("    -> " + remedy);
}

void Renderer::show_check(const Json& json) const {
    if (options_.quiet && text_of(json, "verdict") == "ready") return;
    print(text_of(json, "zone") + " -> " + text_of(json, "host") + ": " + text_of(json, "verdict") + "  (" +
          format_bytes(number_of(json, "bytes")) + ", " + std::to_string(number_of(json, "entries")) + " entries, " +
          (is_true(json, "running") ? "running" : "halted") + ", plan " + text_of(json, "plan") + ")");
}

void Renderer::show_move(const Json& json) const {
    const bool is_source = text_of(json, "role") == "source";
    std::string line = text_of(json, "id") + "  " + text_of(json, "zone") + (is_source ? " -> " : " <- ") +
                       text_of(json, "peer") + "  " + text_of(json, "phase");
    if (is_true(json, "in_doubt")) line += "  IN DOUBT";
    if (const std::string problem = text_of(json, "problem"); !problem.empty()) line += "  (" + problem + ")";
    print(line);
}

void Renderer::show_progress(const Json& json, std::int64_t now_ms) {
    constexpr std::int64_t kPlainLineEveryMs = 10'000;
    if (options_.quiet) return;
    if (options_.live) {
        std::fputs(("\r" + progress_text(json, options_.width) + "\x1b[K").c_str(), stderr);
        live_line_shown_ = true;
    } else if (progress_told_ms_ == 0 || now_ms - progress_told_ms_ >= kPlainLineEveryMs) {
        progress_told_ms_ = now_ms;
        talk(progress_text(json, 200));
    }
}

}  // namespace zoneferry
