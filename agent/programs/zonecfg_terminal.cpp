// Prompt: "zonecfg:web01> ", inside a resource "zonecfg:web01:net> ". Tab completes commands, resource types,
// properties and the values that are few; when several words fit, it shows them. History lasts as long as the session.
#include "agent/programs/zonecfg_terminal.h"

#include <histedit.h>

#include <cstdio>
#include <memory>

#include "core/base/text.h"
#include "core/zone/zonecfg_words.h"

namespace zoneferry {
namespace {

constexpr int kHistoryLines = 1000;

class Terminal {
public:
    Terminal(ConfigSession& session, const std::string& zone)
        : session_(session),
          zone_(zone),
          history_(::history_init(), ::history_end),
          line_(::el_init("zonecfg", stdin, stdout, stderr), ::el_end) {
        HistEvent event;
        ::history(history_.get(), &event, H_SETSIZE, kHistoryLines);
        ::history(history_.get(), &event, H_SETUNIQUE, 1);
        ::el_set(line_.get(), EL_CLIENTDATA, this);
        ::el_set(line_.get(), EL_PROMPT, &Terminal::prompt_of);
        ::el_set(line_.get(), EL_EDITOR, "emacs");
        ::el_set(line_.get(), EL_SIGNAL, 1);
        ::el_set(line_.get(), EL_HIST, ::history, history_.get());
        ::el_set(line_.get(), EL_ADDFN, "zonecfg-complete", "Completes the word", &Terminal::complete);
        ::el_set(line_.get(), EL_BIND, "^I", "zonecfg-complete", nullptr);
    }

    // False: the input has ended.
    bool read_line(std::string& line) {
        prompt_ = "zonecfg:" + zone_ + (session_.open_type().empty() ? "" : ":" + session_.open_type()) + "> ";
        if (!read(line)) return false;
        HistEvent event;
        if (!trim(line).empty()) ::history(history_.get(), &event, H_ENTER, line.c_str());
        return true;
    }

    bool confirm(const std::string& question) {
        prompt_ = question;
        std::string answer;
        return read(answer) && (answer == "y" || answer == "yes" || answer == "Y");
    }

private:
    bool read(std::string& line) {
        int count = 0;
        const char* text = ::el_gets(line_.get(), &count);
        if (text == nullptr || count <= 0) return false;
        line.assign(text, static_cast<std::size_t>(count));
        while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
        return true;
    }

    static Terminal* of(EditLine* line) {
        void* self = nullptr;
        ::el_get(line, EL_CLIENTDATA, &self);
        return static_cast<Terminal*>(self);
    }
    static char* prompt_of(EditLine* line) { return of(line)->prompt_.data(); }
    static unsigned char complete(EditLine* line, int) { return of(line)->complete_word(); }

    unsigned char complete_word() {
        const LineInfo* info = ::el_line(line_.get());
        const std::string_view text(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
        const std::vector<std::string> words = complete_command(text, session_.open_type(), session_.resources());
        if (words.empty()) return CC_ERROR;
        const std::size_t blank = text.find_last_of(" \t;");
        const std::size_t begun = blank == std::string_view::npos ? text.size() : text.size() - blank - 1;
        std::string common = words.front();
        for (const std::string& word : words) {
            while (!word.starts_with(common)) common.pop_back();
        }
        std::string insert = common.substr(begun);
        if (words.size() == 1 && !common.ends_with('=')) insert += ' ';
        if (!insert.empty()) return ::el_insertstr(line_.get(), insert.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
        std::fputc('\n', stdout);
        for (const std::string& word : words) std::printf("%s  ", printable(word).c_str());
        std::fputc('\n', stdout);
        return CC_REDISPLAY;
    }

    ConfigSession& session_;
    std::string zone_;
    std::string prompt_;
    std::unique_ptr<History, void (*)(History*)> history_;
    std::unique_ptr<EditLine, void (*)(EditLine*)> line_;
};

}  // namespace

int converse(ConfigSession& session, const std::string& zone, const std::function<int(const Error&)>& tell) {
    Terminal terminal(session, zone);
    session.set_confirm([&](const std::string& question) { return terminal.confirm(question); });
    const auto configured = session.is_configured();
    if (!configured) return tell(configured.error());
    if (!*configured) {
        std::printf("%s: No such zone configured\nUse 'create' to begin configuring a new zone.\n", zone.c_str());
    }
    std::string line;
    while (!session.is_done() && terminal.read_line(line)) {
        if (const Status done = session.run_line(line); !done) tell(done.error());
        std::fflush(stdout);
    }
    if (session.is_done()) return 0;
    std::fputc('\n', stdout);
    if (const std::string open = session.open_type(); !open.empty()) {
        return tell(Error(Errc::usage, "the input ended inside a resource of type " + open + "; nothing was saved"));
    }
    const Status done = session.finish();
    return done ? 0 : tell(done.error());
}

}  // namespace zoneferry
