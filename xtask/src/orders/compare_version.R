# R's compareVersion; a part that is no number is NA there, and the comparison fails.
answer <- function(pair) {
  order <- tryCatch(suppressWarnings(compareVersion(pair[1], pair[2])), error = function(e) NA)
  if (is.na(order)) "?" else c("<", "=", ">")[order + 2]
}
lines <- readLines(file("stdin"))
writeLines(vapply(strsplit(lines, "\t", fixed = TRUE), answer, ""))
