#include "agent/programs/zoneadm_install_words.h"

#include <algorithm>
#include <string_view>

#include "core/base/text.h"
#include "core/image/fresh_system.h"

namespace zoneferry {
namespace {

Error wrong(const std::string& what) { return Error(Errc::usage, what); }

class Words {
public:
    explicit Words(const std::vector<std::string>& words) : words_(words) {}

    Result<InstallArguments> parse() {
        for (; at_ < words_.size(); ++at_) {
            const std::string& word = words_[at_];
            if (word.starts_with("--")) {
                ZF_TRY_STATUS(long_option(word));
            } else if (word.size() >= 2 && word[0] == '-') {
                ZF_TRY_STATUS(letters(word));
            } else {
                return wrong("install takes no operand, but \"" + word + "\" is given");
            }
        }
        ZF_TRY_STATUS(check());
        return arguments_;
    }

private:
    Status long_option(const std::string& word) {
        if (word == "--fresh") return flag(word, arguments_.fresh);
        if (word == "--include") return include(word);
        if (word == "--delete-containers") return flag(word, arguments_.delete_containers);
        if (word == "--sysid") {
            if (!arguments_.sysid.empty()) return wrong("--sysid is given twice");
            ZF_TRY(arguments_.sysid, value(word));
            return {};
        }
        if (word == "--format") {
            ZF_TRY(const std::string format, value(word));
            if (format != "json") return wrong("--format knows json only");
            return flag(word, arguments_.as_json);
        }
        return wrong("there is no option " + word);
    }

    Status include(const std::string& word) {
        ZF_TRY(const std::string list, value(word));
        for (const std::string_view package : split(list, ',')) {
            if (!is_package_word(package)) return wrong("--include takes names of packages, with commas between them");
            arguments_.include.emplace_back(package);
        }
        return {};
    }

    Status letters(const std::string& word) {
        for (std::size_t i = 1; i < word.size(); ++i) {
            switch (word[i]) {
                case 'p': ZF_TRY_STATUS(flag("-p", arguments_.preserve)); break;
                case 'u': ZF_TRY_STATUS(flag("-u", arguments_.unconfigure)); break;
                case 's': ZF_TRY_STATUS(flag("-s", arguments_.silent)); break;
                case 'v': ZF_TRY_STATUS(flag("-v", arguments_.verbose)); break;
                case 'a':
                case 'd': return image(word, i);
                default: return wrong(std::string("there is no option -") + word[i]);
            }
        }
        return {};
    }

    // -a FILE, -aFILE; the rest of the word is the value.
    Status image(const std::string& word, std::size_t i) {
        const std::string option = std::string("-") + word[i];
        std::optional<std::string>& to = word[i] == 'a' ? arguments_.archive : arguments_.directory;
        if (to) return wrong(option + " is given twice");
        if (i + 1 < word.size()) {
            to = word.substr(i + 1);
            return {};
        }
        ZF_TRY(to, value(option));
        return {};
    }

    static Status flag(const std::string& option, bool& to) {
        if (to) return wrong(option + " is given twice");
        to = true;
        return {};
    }

    Result<std::string> value(const std::string& option) {
        if (at_ + 1 >= words_.size() || words_[at_ + 1].empty()) return wrong(option + " needs a value");
        return words_[++at_];
    }

    Status check() const {
        const InstallArguments& a = arguments_;
        if (a.archive && a.directory) return wrong("-a and -d exclude each other");
        const bool image_only =
            a.preserve || a.unconfigure || a.silent || a.verbose || a.delete_containers || !a.sysid.empty();
        if (!a.from_image() && image_only)
            return wrong("-p, -u, -s, -v, --sysid and --delete-containers go only with -a or -d");
        if (a.fresh && a.from_image()) return wrong("--fresh excludes -a and -d");
        if (!a.include.empty() && !a.fresh) return wrong("--include goes only with --fresh");
        if (a.preserve && a.unconfigure) return wrong("-p and -u exclude each other");
        if (a.from_image() && !a.preserve && !a.unconfigure)
            return wrong("with -a or -d, one of -p (keep the identity) and -u (take it away) is needed");
        if (a.silent && a.verbose) return wrong("-s and -v exclude each other");
        if (!a.sysid.empty() && !a.unconfigure) return wrong("--sysid goes only with -u");
        return {};
    }

    const std::vector<std::string>& words_;
    std::size_t at_ = 0;
    InstallArguments arguments_;
};

}  // namespace

Result<InstallArguments> parse_install(const std::vector<std::string>& words) { return Words(words).parse(); }

bool is_about_image(const std::vector<std::string>& words) {
    return std::any_of(words.begin(), words.end(), [](std::string_view word) {
        if (word == "--sysid" || word == "--delete-containers") return true;
        return word.size() >= 2 && word[0] == '-' && word[1] != '-' &&
               word.find_first_of("adpusv", 1) != std::string_view::npos;
    });
}

}  // namespace zoneferry
