#include "workers/search/output.h"

namespace cutover::search {

Output documents_output() {
  Output output;
  output.name = "search documents";
  output.table = "search_documents";
  output.keys = {"doc_id"};
  output.fields = {
      {"kind"},  {"owner_id"}, {"visibility"},   {"display_name"}, {"phone"},
      {"email"}, {"username"}, {"company_name"}, {"job_title"},    {"circle_names", OutputField::Rule::set},
      {"tsv"}};
  output.written_at = "updated_at";
  output.stratum = "kind";
  output.strata = {"contact", "profile", "business"};
  output.unfinished = "SELECT stream, seq FROM {schema}.search_jobs";
  output.distribution = {"words of a document", "length(tsv)", 0, 40};
  return output;
}

}  // namespace cutover::search
