import css from "@eslint/css";
import js from "@eslint/js";
import globals from "globals";

const readonly = (...names) => Object.fromEntries(names.map((name) => [name, "readonly"]));
const shared = readonly("DATA", "element", "digits");
const network = readonly(
  ...["SWITCHES", "newNetwork", "trace", "backward", "descend", "cosine", "sumsRight", "carryingUnit"],
);

export default [
  {
    ...js.configs.recommended,
    files: ["**/*.js"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: { ...js.configs.recommended.rules, "prefer-const": "error", eqeqeq: "error", "no-var": "error" },
  },
  { files: ["**/*.js"], ignores: ["**/base.js"], languageOptions: { globals: shared } },
  { files: ["**/answer.js"], languageOptions: { globals: network } },
  {
    ...css.configs.recommended,
    files: ["**/*.css"],
    language: "css/css",
    rules: {
      ...css.configs.recommended.rules,
      "css/no-invalid-properties": ["error", { allowUnknownVariables: true }], // those of base.css
      "css/use-baseline": "off", // a browser may leave out a refinement
    },
  },
];
