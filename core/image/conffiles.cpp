#include "core/image/conffiles.h"

#include "core/base/text.h"

namespace zoneferry {

Result<std::map<std::string, Conffile>> read_conffiles(const std::vector<const DpkgPackage*>& packages) {
    std::map<std::string, Conffile> result;
    for (const DpkgPackage* package : packages) {
        for (const std::string_view line : split(package->conffiles, '\n')) {
            const std::vector<std::string_view> words = split_words(line);
            if (words.size() != 2) continue;  // empty, "obsolete" or "remove-on-upgrade"
            result.try_emplace(std::string(words[0]), Conffile{std::string(words[0]), std::string(words[1])});
        }
    }
    return result;
}

}  // namespace zoneferry
