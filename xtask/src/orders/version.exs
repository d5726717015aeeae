# Elixir's Version, which Hex uses.
answer = fn line ->
  [a, b] = line |> String.trim_trailing("\n") |> String.split("\t")

  with {:ok, a} <- Version.parse(a), {:ok, b} <- Version.parse(b) do
    %{lt: "<", eq: "=", gt: ">"}[Version.compare(a, b)]
  else
    :error -> "?"
  end
end

IO.stream() |> Stream.map(answer) |> Stream.chunk_every(1000) |> Enum.each(&IO.puts(Enum.join(&1, "\n")))
