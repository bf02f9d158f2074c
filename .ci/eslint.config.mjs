import css from "@eslint/css";
import js from "@eslint/js";
import globals from "globals";

const shared = { DATA: "readonly", element: "readonly", digits: "readonly" };

export default [
  {
    ...js.configs.recommended,
    files: ["**/*.js"],
    languageOptions: { sourceType: "script", globals: globals.browser },
    rules: { ...js.configs.recommended.rules, "prefer-const": "error", eqeqeq: "error", "no-var": "error" },
  },
  { files: ["**/*.js"], ignores: ["**/base.js"], languageOptions: { globals: shared } },
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
