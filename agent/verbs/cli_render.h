// How the command line shows the agent's lines. Results go to stdout, talk (phases, progress, remedies) to
// stderr; with --format json every line goes to stdout as it came. On a terminal progress is one live line, in a
// pipe a plain line per phase and one every ten seconds. Colour only on a terminal, never with NO_COLOR,
// TERM=dumb; no meaning is carried by colour alone.
#pragma once

#include <cstdint>
#include <string>

#include "agent/report.h"

namespace zoneferry {

enum class Format { text, json };

struct RenderOptions {
    Format format = Format::text;
    bool quiet = false;      // errors only
    bool live = false;       // stderr is a terminal: one live line
    bool colour = false;     // stderr is a terminal that wants it
    std::size_t width = 80;  // of the terminal
};
RenderOptions detect_terminal(Format format, bool quiet);

class Renderer {
public:
    explicit Renderer(RenderOptions options) : options_(options) {}
    // Shows one line of the agent; true when it was the last one.
    bool show(const std::string& line, std::int64_t now_ms);
    int exit_code() const { return exit_code_; }
    const std::string& move_id() const { return move_id_; }
    // The zone whose name has to be typed before the agent does what was asked; empty: none.
    const std::string& zone_at_risk() const { return zone_at_risk_; }
    void clear_live_line();

private:
    void show_end(const Json& json);
    void show_finding(const Json& json);
    void show_check(const Json& json) const;
    void show_move(const Json& json) const;
    void show_progress(const Json& json, std::int64_t now_ms);
    static void show_look(const std::string& type, const Json& json);  // what the verbs that only look print
    void talk(const std::string& text);

    RenderOptions options_;
    int exit_code_ = 1;
    std::string move_id_;
    std::string zone_at_risk_;
    std::string package_section_;  // heading of the package differences shown last
    std::int64_t progress_told_ms_ = 0;
    bool live_line_shown_ = false;
    std::string verb_;
};

// "pass 1  120.0 MiB / 212.4 MiB  56%  98.1 MiB/s  ETA 0:01", cut to the width. Pure.
std::string progress_text(const Json& progress, std::size_t width);
// One move of `history`: what it came to, its bytes, and the milliseconds of each phase. Pure.
std::string history_text(const Json& line);
// The lines below "moved": where the downtime went. Pure.
std::string downtime_text(const Json& end);

}  // namespace zoneferry
