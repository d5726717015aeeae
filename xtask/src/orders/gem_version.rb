# RubyGems' Gem::Version.
def answer(line)
  a, b = line.chomp.split("\t", 2).map { |text| Gem::Version.new(text) }
  "<=>"[(a <=> b) + 1]
rescue ArgumentError
  "?"
end

$stdin.each_line { |line| puts answer(line) }
